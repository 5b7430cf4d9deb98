// PyTorch as a peer: a Python process that times named cases of torch_peer.py on request, so that its runs and weft's
// can alternate.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace weft::bench {

class TorchPeer {
 public:
  /// Starts it with that many threads; available() is false where no python3 has torch. WEFT_BENCH_PYTHON names another
  /// interpreter than /usr/bin/python3.
  explicit TorchPeer(int threads);
  /// Another script of tests/bench/ that answers alike.
  TorchPeer(const std::string& script, const std::vector<std::string>& arguments);
  ~TorchPeer();
  TorchPeer(const TorchPeer&) = delete;
  TorchPeer& operator=(const TorchPeer&) = delete;

  bool available() const;
  /// "PyTorch 1.13.1", or why there is none.
  const std::string& version() const;
  /// Seconds of one call of a case, over `times` calls; negative if the script has no such case.
  double seconds(const std::string& name, int times);
  /// Why the last answer was negative, where the script says so.
  const std::string& why_not() const;
  /// The most memory that its process has had resident, in bytes; 0 where it is not known.
  double peak_memory();

 private:
  double ask(const std::string& name, int times);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft::bench
