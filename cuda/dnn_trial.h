// What only a run of a plan tells.
#pragma once

#include "weft/cuda/dnn_plan.h"
#include "weft/tensor/device.h"

namespace weft::cuda {

// The handle's stream is `stream`, its device is current. What the plan computes is written.

/// Whether a plan with a bias and a ReLU keeps NaN, as it was told to: an engine need not (cuDNN's older interface
/// takes no such wish). Waits for the stream.
bool keeps_nan(const ConvPlan& plan, const Convolution& key, cudnnHandle_t handle, const ConvOperands& operands,
               Stream stream);

}  // namespace weft::cuda
