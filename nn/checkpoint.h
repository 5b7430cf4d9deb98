// Checkpoint: everything a training needs to go on, in one safetensors file: model, optimizer, averages, random
// numbers, counters, the order of the data. It knows no devices, so a training may go on elsewhere. How devices were
// found to compute fastest (tensor/tuning.h) is kept beside the parts.
//
//   Checkpoint c;
//   c.put("model", net).put("trainer", trainer.state()).put("generator", default_generator()).put("epoch", epoch);
//   save_checkpoint(c, path);
//   …
//   const Checkpoint c = load_checkpoint(path);
//   PendingLoad weights = c.prepare("model", net);        // whatever does not fit throws here or in the next line …
//   trainer.load_state(c.tensors("trainer"));             // … which changes nothing if it throws
//   weights.commit();
//   default_generator() = c.generator("generator");
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <string>

#include "weft/nn/serialize.h"
#include "weft/tensor/random.h"

namespace weft::nn {

class Checkpoint {
 public:
  /// Copies to the host, under "PART/NAME". A part may be put once: Error.
  Checkpoint& put(const std::string& part, const NamedTensors& tensors);
  Checkpoint& put(const std::string& part, const Module& module) { return put(part, state_of(module)); }
  Checkpoint& put(const std::string& part, const Tensor& tensor) { return put(part, NamedTensors{{"value", tensor}}); }
  template <std::integral T>
  Checkpoint& put(const std::string& part, T value) {
    return put(part, weft::tensor<int64_t>(static_cast<int64_t>(value), Device()));
  }
  template <std::floating_point T>
  Checkpoint& put(const std::string& part, T value) {
    return put(part, weft::tensor<double>(static_cast<double>(value), Device()));
  }
  Checkpoint& put(const std::string& part, const Generator& generator);
  Checkpoint& put_text(const std::string& part, const std::string& text);

  bool has(const std::string& part) const;
  // Each throws CheckpointError naming the parts there are if `part` is not one of them or is of another kind.
  NamedTensors tensors(const std::string& part) const;
  PendingLoad prepare(const std::string& part, const Module& module, const LoadOptions& options = {}) const {
    return PendingLoad(module, tensors(part), options);
  }
  Tensor tensor(const std::string& part) const;
  int64_t number(const std::string& part) const;  ///< of one that was put as an integer …
  double real(const std::string& part) const;     ///< … and as a floating number
  Generator generator(const std::string& part) const;
  const std::string& text(const std::string& part) const;

 private:
  friend void save_checkpoint(const Checkpoint& checkpoint, const std::string& path);
  friend Checkpoint load_checkpoint(const std::string& path);
  void check_new(const std::string& part) const;
  [[noreturn]] void missing(const std::string& part, const char* kind) const;
  NamedTensors tensors_;  // by full names
  std::map<std::string, std::string> texts_;
};

/// Writes the whole checkpoint or, on an error, leaves what the path held: see write_safetensors.
void save_checkpoint(const Checkpoint& checkpoint, const std::string& path);
/// Throws CheckpointError unless the file is a whole checkpoint of this format, its checksum right. From now on the
/// choices of its training hold, see load_tuned_choices.
Checkpoint load_checkpoint(const std::string& path);

}  // namespace weft::nn
