#include "weft/tensor/ops/loss_scale.h"

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/elementwise.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/foreach.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/view.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(UpdateGateArgs, update_gate_kernel);
WEFT_KERNEL(LossScaleArgs, loss_scale_kernel);

namespace ops {

Tensor update_gate(const Tensors& gradients, const Tensor& state, const Tensor& skipped, int64_t step) {
  constexpr const char* name = "update_gate";
  WEFT_CHECK(Error, !gradients.empty(), name, ": no gradients");
  check_same_device(name, gradients[0], state);
  check_same_device(name, gradients[0], skipped);
  const Tensor square = foreach_squared_norm(gradients);  // finite if all are: no square of an f32 overflows f64
  const Tensor gate = empty({4}, {.dtype = DType::f64, .device = state.device()});
  update_gate_kernel({square.data<double>(), state.data<float>(), skipped.data<double>(), static_cast<double>(step),
                      gate.data<double>()},
                     current_stream(state.device()));
  return gate;
}

void unscale_(const Tensors& gradients, const Tensor& gate) {
  constexpr const char* name = "unscale_";
  for (const Tensor& g : gradients) check_writable(name, g);
  const Tensor factor = select(gate, 0, gate_factor);
  for (const Tensor& g : gradients) {
    if (g.numel() == 0) continue;
    const Tensor dense = dense_like(g);
    const ForeachItem item{g.numel(), dense.raw(), nullptr};
    foreach_axpby_kernel({g.dtype(), 1, &item, 0, 1, factor.data<double>()}, current_stream(g.device()));
    if (!dense.same(g)) copy(g, dense);  // g has gaps
    g.storage().bump_version(name);
  }
  fill(factor, 1);
}

Tensor next_loss_scale(const Tensor& state, const Tensor& closed, double growth, double backoff, int64_t interval) {
  check_same_device("next_loss_scale", state, closed);
  const Tensor next = empty({2}, {.dtype = DType::f32, .device = state.device()});
  loss_scale_kernel({closed.data<double>(), state.data<float>(), next.data<float>(), static_cast<float>(growth),
                     static_cast<float>(backoff), static_cast<double>(interval)},
                    current_stream(state.device()));
  return next;
}

}  // namespace ops
}  // namespace weft
