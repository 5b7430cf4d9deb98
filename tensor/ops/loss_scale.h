// What scaled losses ask of a training step, decided where the gradients are: whether they overflowed, by what to
// divide them, and the scale of the next loss (mixed precision training, Micikevicius et al. 2018). The host waits for
// none of it.
#pragma once

#include <vector>

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// A gate is f64 [4], read by the kernels of optimizer_update: 0 or 1, if 1 nothing is updated; a factor on gradients;
/// the number of the step among those that were taken; how many were skipped, this one included.
inline constexpr int gate_closed = 0, gate_factor = 1, gate_step = 2, gate_skipped = 3;
/// gate = {1 if square is NaN or infinite else 0, 1 / scale, step - skipped, skipped + gate[0]}.
struct UpdateGateArgs {
  const double* square;
  const float* scale;
  const double* skipped;
  double step;
  double* gate;
};
/// state = {scale, steps since it last changed}, next alike: after *closed != 0 {scale * backoff, 0}; else the steps
/// count, and at `interval` of them it is {scale * growth, 0} if that is finite.
struct LossScaleArgs {
  const double* closed;
  const float* state;
  float* next;
  float growth, backoff;
  double interval;
};
extern Kernel<UpdateGateArgs> update_gate_kernel;
extern Kernel<LossScaleArgs> loss_scale_kernel;

namespace ops {

/// The gate for all gradients of a device. state: of the loss scale, f32 [2]; skipped: f64 scalar, the
/// closed gates so far; `step` counts attempts from 1. DeviceError unless all are on one device.
Tensor update_gate(const std::vector<Tensor>& gradients, const Tensor& state, const Tensor& skipped, int64_t step);
/// Multiplies the gradients in place by the gate's factor, which becomes 1.
void unscale_(const std::vector<Tensor>& gradients, const Tensor& gate);
/// closed: f64 scalar on state's device. A new state; the old one is unchanged.
Tensor next_loss_scale(const Tensor& state, const Tensor& closed, double growth, double backoff, int64_t interval);

}  // namespace ops
}  // namespace weft
