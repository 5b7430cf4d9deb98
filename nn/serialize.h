// Weights of a module, to and from safetensors files.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "weft/nn/module.h"
#include "weft/nn/safetensors.h"

namespace weft::nn {

/// Parameters and buffers under their full names; values of the first copy that is not lost, there, sharing memory.
NamedTensors state_of(const Module& module);

/// Writes state_of(module). See write_safetensors.
void save(const Module& module, const std::string& path, const std::map<std::string, std::string>& metadata = {});

struct LoadOptions {
  /// The file must have a tensor of the right shape for every parameter and buffer, and no others. Else what fits is
  /// taken, and the report says the rest.
  bool strict = true;
  /// Taken off the beginning of the file's names: "module.". Names without it stay as they are.
  std::string strip_prefix = {};
  /// From names in the file (without the prefix) to names in the module; {"net.", "backbone."}, with a dot at the end,
  /// speaks of all names that begin so. The first that fits counts.
  std::vector<std::pair<std::string, std::string>> rename = {};
};

/// Names of the module, but `unexpected`: names of the file.
struct LoadReport {
  std::vector<std::string> missing, unexpected;
  std::vector<std::string> wrong_shape;  ///< "fc.weight: [3, 4] here, [4, 3] in the file"
  bool complete() const { return missing.empty() && unexpected.empty() && wrong_shape.empty(); }
};

/// Values that are ready for every copy of every parameter: all that can fail is done, commit() only copies.
class PendingLoad {
 public:
  /// Throws CheckpointError with the whole report where it must be complete (strict) and is not. Tensors of any dtype
  /// are converted. "num_batches_tracked", which weft does not keep, is never unexpected.
  PendingLoad(const Module& module, const NamedTensors& tensors, const LoadOptions& options = {});
  const LoadReport& report() const { return report_; }
  /// Writes the values, on all devices.
  void commit();

 private:
  std::vector<std::pair<Tensor, Tensor>> copies_;  // to, from
  LoadReport report_;
};

/// Loads a safetensors file, or all files of a sharded model by its "….index.json". Checks weft's checksum where there
/// is one. If it throws, the module is unchanged: CheckpointError, or OutOfMemory.
LoadReport load(const Module& module, const std::string& path, const LoadOptions& options = {});

/// All tensors of a safetensors file or of the files of an index, on the host.
NamedTensors read_tensors(const std::string& path);

}  // namespace weft::nn
