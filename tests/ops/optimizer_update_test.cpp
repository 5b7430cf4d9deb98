// Optimizer updates: one step in every cell; longer runs are in tests/nn/optim_test.cpp.
#include "weft/tensor/ops/optimizer_update.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/op_table.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/tensor/operators.h"

using namespace weft;
using namespace weft::test;

namespace {

// One step from value v[0] with gradient v[1]; the result is the new value.
OpFunction step_of(const nn::optim::Optimizer& optimizer) {
  return [&optimizer](const Tensors& v) {
    const Tensor value = v[0].detach().clone().contiguous();
    std::vector<Tensor> state = optimizer.make_state(value);
    const nn::optim::Update update{value, nn::optim::dense_gradient(v[1].detach(), value), state};
    optimizer.apply(std::span(&update, 1), 1, 0.5);
    return value;
  };
}

Reference each(double (*f)(double w, double g)) {
  return [f](const Arrays& v) {
    Array y = v[0];
    for (int64_t i = 0; i < y.numel(); ++i) y[i] = f(v[0][i], v[1][i] * 0.5);
    return y;
  };
}

}  // namespace

OP_TABLE(optimizer_update) {
  static const nn::optim::SGD sgd({.lr = 0.25, .momentum = 0.5, .weight_decay = 0.125, .nesterov = true});
  static const nn::optim::AdamW adamw({.lr = 0.25, .weight_decay = 0.5});
  const RowOptions options{.dtypes = {DType::f64, DType::f32}, .no_gradient = "it changes values in place"};
  table.op("sgd_update")
      .row("nesterov and decay", {input({3, 40}).untracked(), input({3, 40}).untracked()}, step_of(sgd),
           each([](double w, double g) {
             const double d = g + 0.125 * w;
             return w - 0.25 * (d + 0.5 * d);
           }),
           options)
      .row("no elements", {input({0, 4}).untracked(), input({0, 4}).untracked()}, step_of(sgd), expected({0, 4}, {}),
           options)
      .error<Error>("nesterov", "SGD: nesterov needs a momentum above 0", [] { nn::optim::SGD({.nesterov = true}); });
  static const nn::optim::RMSprop rmsprop(
      {.lr = 0.25, .alpha = 0.5, .weight_decay = 0.125, .momentum = 0.5, .centered = true});
  table.op("rmsprop_update")
      .row("centered, momentum and decay", {input({3, 40}).untracked(), input({3, 40}).untracked()}, step_of(rmsprop),
           each([](double w, double g) {
             const double d = g + 0.125 * w;
             return w - 0.25 * d / (0.5 * std::fabs(d) + 1e-8);  // s - mean^2 = d^2 / 2 - d^2 / 4
           }),
           options)
      .row("no elements", {input({0}).untracked(), input({0}).untracked()}, step_of(rmsprop), expected({0}, {}),
           options)
      .error<Error>("alpha", "RMSprop: alpha is -1", [] { nn::optim::RMSprop({.alpha = -1}); });
  table.op("adam_update")
      .row("decoupled decay", {input({70}).untracked(), input({70}).untracked()}, step_of(adamw),
           each([](double w, double g) { return w * (1 - 0.25 * 0.5) - 0.25 * g / (std::fabs(g) + 1e-8); }), options)
      .row("no elements", {input({0}).untracked(), input({0}).untracked()}, step_of(adamw), expected({0}, {}), options)
      .error<Error>("beta", "Adam: beta1 is 1", [] { nn::optim::Adam({.beta1 = 1}); });
}
