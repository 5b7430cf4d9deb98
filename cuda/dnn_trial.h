// PlanTrial: what only runs of a plan tell.
#pragma once

#include <optional>
#include <vector>

#include "weft/cuda/dnn_plan.h"
#include "weft/tensor/device.h"

namespace weft::cuda {

/// A convolution to try plans on. Each try writes what the convolution computes, and waits for the stream.
class PlanTrial {
 public:
  /// The handle's stream is `stream`, whose device is current.
  PlanTrial(const Convolution& key, cudnnHandle_t handle, const ConvOperands& operands, Stream stream)
      : key_(key), handle_(handle), operands_(operands), stream_(stream) {}

  /// False for a plan with a bias and a ReLU that makes 0 of NaN: its engine need not do as it was told (cuDNN's older
  /// interface takes no such wish). True for others.
  bool keeps_nan(const ConvPlan& plan) const;
  /// Of one run, the shortest of a few; nothing if it loses NaN or fails, for want of memory or otherwise. Throws
  /// DeviceLost, and what waits tell of work before: IndexError, CommError.
  std::optional<double> milliseconds(const ConvPlan& plan) const;
  /// The place of the plan that takes least time; 0 if it is the only one, or if all fail.
  size_t fastest(const std::vector<ConvPlan>& plans) const;

 private:
  double shortest(const ConvPlan& plan) const;

  const Convolution& key_;
  cudnnHandle_t handle_;
  ConvOperands operands_;
  Stream stream_;
};

}  // namespace weft::cuda
