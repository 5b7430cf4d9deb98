// What scaled losses ask of a step; whole sequences of the scale are in tests/nn/grad_scaler_test.cpp.
#include "weft/tensor/ops/loss_scale.h"

#include <doctest/doctest.h>

#include "tests/support/op_table.h"
#include "weft/tensor/operators.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr const char* by_hand = "the tape never sees it";

// A loss scale of 4 that has held for s steps.
Tensor scale_of_4(float s) { return tensor({4.0f, s}, current_device()); }

// The gate of attempt 7 for the input's gradients divided by `divisor`, after 2 skipped steps.
OpFunction gate_of(double divisor) {
  return [divisor](const Tensors& v) {
    const Tensor skipped = full({}, 2, {.dtype = DType::f64});
    return ops::update_gate({v[0].detach() / divisor}, scale_of_4(0), skipped, 7);
  };
}

// The scale after a step whose gate was `closed`, with an interval of 3 steps.
OpFunction next_after(double closed) {
  return [closed](const Tensors& v) {
    return ops::next_loss_scale(v[0].detach(), full({}, closed, {.dtype = DType::f64}), 2, 0.5, 3);
  };
}

}  // namespace

OP_TABLE(loss_scale) {
  const RowOptions gate{.exact = true, .result = DType::f64, .no_gradient = by_hand};
  table.op("update_gate")
      .row("finite", {input({3, 40}).untracked()}, gate_of(1), expected({4}, {0, 0.25, 5, 2}), gate)
      .row("infinite", {input({3, 40}).untracked()}, gate_of(0), expected({4}, {1, 0.25, 5, 3}), gate)
      .row("no elements", {input({0, 4}).untracked()}, gate_of(1), expected({4}, {0, 0.25, 5, 2}), gate)
      .error<Error>("none", "update_gate: no gradients", [] { ops::update_gate({}, scale_of_4(0), zeros({}), 1); });
  table.op("unscale_")
      .row(
          "by a half", {input({3, 40}).untracked()},
          [](const Tensors& v) {
            const Tensor gradient = v[0].detach().clone();
            ops::unscale_({gradient}, full({4}, 0.5, {.dtype = DType::f64}));
            return gradient;
          },
          [](const Arrays& v) {
            Array y = v[0];
            for (int64_t i = 0; i < y.numel(); ++i) y[i] *= 0.5;
            return y;
          },
          {.no_gradient = by_hand})
      .row("no elements", {input({0, 4}).untracked()},
           [](const Tensors& v) {
             const Tensor gradient = v[0].detach().clone();
             ops::unscale_({gradient}, full({4}, 0.5, {.dtype = DType::f64}));
             return gradient;
           },
           expected({0, 4}, {}), {.no_gradient = by_hand})
      .none(Cell::errors, "the trainer gives it gradients of its own and their gate");
  const RowOptions scale{
      .dtypes = {DType::f32}, .exact = true, .no_gradient = by_hand, .no_layouts = "a state is dense"};
  table.op("next_loss_scale")
      .row(
          "counts", {input({2}).untracked()}, next_after(0),
          [](const Arrays& v) {
            Array y = v[0];
            y[1] = v[0][1] + 1 >= 3 ? 0 : v[0][1] + 1;
            y[0] = v[0][1] + 1 >= 3 ? 2 * v[0][0] : v[0][0];
            return y;
          },
          scale)
      .row(
          "grows", {input({2}).untracked()},
          [](const Tensors&) {
            return ops::next_loss_scale(scale_of_4(2), full({}, 0, {.dtype = DType::f64}), 2, 0.5, 3);
          },
          expected({2}, {8, 0}), scale)
      .row(
          "overflow", {input({2}).untracked()}, next_after(1),
          [](const Arrays& v) {
            Array y = v[0];
            y[0] = 0.5 * v[0][0];
            y[1] = 0;
            return y;
          },
          scale)
      .none(Cell::zero_sizes, "a state has two elements")
      .none(Cell::dtypes, "a state is f32")
      .error<DeviceError>("devices", "next_loss_scale: operands on cpu:0 and cpu:1; move one with .to(cpu:0)", [] {
        ops::next_loss_scale(tensor({4.0f, 0.0f}, "cpu:0"), zeros({}, {.dtype = DType::f64, .device = "cpu:1"}), 2, 0.5,
                             3);
      });
}
