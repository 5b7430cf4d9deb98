// The gate of an update and the next loss scale: a few numbers.
#include "weft/tensor/ops/loss_scale.h"

namespace weft {
namespace {

void update_gate(const UpdateGateArgs& a, Stream) {
  const double closed = *a.square - *a.square == 0 ? 0 : 1;
  a.gate[gate_closed] = closed;
  a.gate[gate_factor] = 1 / static_cast<double>(*a.scale);
  a.gate[gate_step] = a.step - *a.skipped;
  a.gate[gate_skipped] = *a.skipped + closed;
}

void loss_scale(const LossScaleArgs& a, Stream) {
  const bool grows = *a.closed == 0 && static_cast<double>(a.state[1]) + 1 >= a.interval;
  const float scale = *a.closed != 0 ? a.state[0] * a.backoff : grows ? a.state[0] * a.growth : a.state[0];
  a.next[0] = scale - scale == 0 ? scale : a.state[0];
  a.next[1] = *a.closed != 0 || grows ? 0 : a.state[1] + 1;
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(weft::update_gate_kernel, weft::update_gate);
  WEFT_PLUG(weft::loss_scale_kernel, weft::loss_scale);
}
