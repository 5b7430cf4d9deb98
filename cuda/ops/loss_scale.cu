// The gate of an update and the next loss scale: a few numbers, one thread.
#include "weft/tensor/ops/loss_scale.h"

#include "weft/cuda/launch.cuh"

namespace weft::cuda {
namespace {

__global__ void gate_kernel(UpdateGateArgs a) {
  if (threadIdx.x != 0) return;
  const double closed = *a.square - *a.square == 0 ? 0 : 1;
  a.gate[gate_closed] = closed;
  a.gate[gate_factor] = 1 / static_cast<double>(*a.scale);
  a.gate[gate_step] = a.step - *a.skipped;
  a.gate[gate_skipped] = *a.skipped + closed;
}

__global__ void scale_kernel(LossScaleArgs a) {
  if (threadIdx.x != 0) return;
  const bool grows = *a.closed == 0 && static_cast<double>(a.state[1]) + 1 >= a.interval;
  const float scale = *a.closed != 0 ? a.state[0] * a.backoff : grows ? a.state[0] * a.growth : a.state[0];
  a.next[0] = scale - scale == 0 ? scale : a.state[0];
  a.next[1] = *a.closed != 0 || grows ? 0 : a.state[1] + 1;
}

void update_gate(const UpdateGateArgs& a, Stream stream) {
  launch("update_gate", gate_kernel, Grid{.blocks = 1, .threads = 32}, stream, a);
}

void loss_scale(const LossScaleArgs& a, Stream stream) {
  launch("loss_scale", scale_kernel, Grid{.blocks = 1, .threads = 32}, stream, a);
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(update_gate_kernel, weft::cuda::update_gate);
  WEFT_PLUG(loss_scale_kernel, weft::cuda::loss_scale);
}
