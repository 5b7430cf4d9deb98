// Workers: one thread per rank, bound to its device, living as long as somebody uses that list of ranks. All threads of
// parallel/ are these.
#pragma once

#include <functional>
#include <memory>

#include "weft/autograd/backward.h"
#include "weft/parallel/errors.h"
#include "weft/tensor/seconds.h"

namespace weft::parallel {

struct RunOptions {
  Seconds deadline = 300;
  const char* what = "parallel";
};

class Workers final : public autograd::Executor {
 public:
  /// The set for a list of ranks, shared by all who ask for the same list while any of them holds it. `threads` is the
  /// number of cores of each CPU worker; 0 divides the cores by the number of CPU ranks.
  static std::shared_ptr<Workers> acquire(const std::vector<Device>& ranks, int threads = 0);
  Workers(std::vector<Device> ranks, int threads);
  ~Workers() override;

  int size() const { return static_cast<int>(ranks_.size()); }
  const std::vector<Device>& ranks() const { return ranks_; }
  /// Which of the ranks on its device `rank` is: 0 unless a device is listed more than once.
  int replica(int rank) const;

  /// Runs job(rank) for each of `ranks` on its worker and waits for all. Calls from several threads do not interleave.
  /// Throws WorkerErrors with all that failed; Error naming device and seconds when one does not answer within the
  /// deadline: it keeps `job` alive and goes on by itself. In a worker the jobs run inline, one after the other.
  void run_ranks(const std::vector<int>& ranks, std::function<void(int)> job, const RunOptions& options = {});
  void run_all(std::function<void(int)> job, const RunOptions& options = {});

  /// As an executor of backward passes: devices[i] goes to the next unused rank on that device. Where there is none,
  /// all go to a set of their own.
  void run(std::span<const Device> devices, const std::function<void(int)>& body) override;

 private:
  std::vector<Device> ranks_;
  int threads_;
  struct Team;  // the threads
  std::unique_ptr<Team> team_;
};

}  // namespace weft::parallel
