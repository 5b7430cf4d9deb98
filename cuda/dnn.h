// Dnn: cuDNN for one thread and device, its handle and the plans found so far. leased<Dnn>(index) gives this thread's.
#pragma once

#include <unordered_map>

#include "weft/cuda/dnn_plan.h"
#include "weft/cuda/handle.h"

namespace weft::cuda {

class Dnn {
 public:
  /// The device must be current, here and in every call.
  explicit Dnn(int index);

  cudnnHandle_t handle() const { return handle_.raw(); }
  /// The plan for a convolution, searched for once; without one it says why. Valid until the next call. Threads do not
  /// share plans: cuDNN does not promise that two may run one at a time. A plan may be tried: then what it computes is
  /// written in the order of `stream`, the handle's.
  const FoundPlan& plan(const Convolution& key, const ConvOperands& operands, Stream stream);

 private:
  FoundPlan search(const Convolution& key, const ConvOperands& operands, Stream stream);

  static constexpr size_t max_plans = 4096;
  Unique<cudnnHandle_t, cudnnDestroy> handle_;
  std::unordered_map<Convolution, FoundPlan, ConvolutionHash> plans_;
};

}  // namespace weft::cuda
