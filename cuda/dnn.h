// Dnn: cuDNN for one thread and device, its handle and the plans found so far. leased<Dnn>(index) gives this thread's.
#pragma once

#include <string>
#include <unordered_map>

#include "weft/cuda/dnn_plan.h"
#include "weft/cuda/handle.h"
#include "weft/tensor/device.h"

namespace weft::cuda {

class PlanTrial;

class Dnn {
 public:
  /// The device must be current, here and in every call.
  explicit Dnn(int index);

  cudnnHandle_t handle() const { return handle_.raw(); }
  /// The plan for a convolution, searched for once, and again when tuning_epoch() changes; without one it says why.
  /// Valid until the next call. Threads do not share plans: cuDNN does not promise that two may run one at a time.
  /// Plans may be tried: then what they compute is written, in the order of `stream`, the handle's, and waited for.
  const FoundPlan& plan(const Convolution& key, const ConvOperands& operands, Stream stream);

 private:
  FoundPlan search(const Convolution& key, const PlanTrial& trial);
  FoundPlan chosen(const Convolution& key, const std::string& answer, const PlanTrial& trial);
  void forget();

  static constexpr size_t max_plans = 4096;
  std::string card_;  // its kind
  uint64_t epoch_ = 0;
  Unique<cudnnHandle_t, cudnnDestroy> handle_;
  std::unordered_map<Convolution, FoundPlan, ConvolutionHash> plans_;
};

}  // namespace weft::cuda
