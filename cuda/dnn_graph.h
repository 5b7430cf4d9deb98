// ConvGraph: a convolution, with what is done to its result before that is rounded, described as a graph of cuDNN's
// operations. Nothing here needs a device.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "weft/cuda/dnn_convolution.h"
#include "weft/cuda/dnn_descriptor.h"

namespace weft::cuda {

/// The names by which a graph's tensors are given their addresses.
struct ConvTensor {
  static constexpr int64_t x = 1, w = 2, y = 3, bias = 4;
};

/// The status says that cuDNN cannot do this, not that the machine fails.
bool unsupported(cudnnStatus_t status);

class ConvGraph {
 public:
  /// `handle` may be null: then the device is described elsewhere. Throws Error if cuDNN fails in another way than by
  /// not supporting the convolution.
  ConvGraph(const Convolution& key, cudnnHandle_t handle);

  bool supported() const { return failure_.empty(); }
  const std::string& why() const { return failure_; }             ///< cuDNN does not support it
  const Descriptor& descriptor() const { return parts_.back(); }  ///< refers to others of this object

 private:
  bool keep(Descriptor descriptor);
  bool convolve(int64_t result);
  bool add_bias(int64_t result);
  bool rectify(int64_t result);
  bool apply(Descriptor how, int64_t result, std::optional<size_t> operand = {});
  bool join(cudnnHandle_t handle);

  Convolution key_;
  std::vector<Descriptor> parts_;   // each after what it refers to, the graph last
  size_t value_ = 0;                // the place of the tensor that the next operation takes
  std::vector<size_t> operations_;  // their places
  std::string failure_;
};

}  // namespace weft::cuda
