// Losses of elements composed of recorded operations: values against loops, gradients of both orders.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/binary_cross_entropy.h"
#include "weft/autograd/ops/kl_divergence.h"
#include "weft/autograd/ops/smooth_l1.h"
#include "weft/autograd/record_scope.h"

using namespace weft;
using namespace weft::test;

namespace {

// v: two arrays of one shape, and factors that broadcast.
Reference of_elements(LossReduction reduction, const std::function<double(double, double)>& loss) {
  return [=](const Arrays& v) {
    Array losses = zip(v[0], v[1], loss);
    if (v.size() > 2) losses = zip(losses, v[2], std::multiplies<>());
    if (reduction == LossReduction::none) return losses;
    double total = 0;
    for (const double l : losses.values) total += l;
    const double n = static_cast<double>(std::max<int64_t>(losses.numel(), 1));
    return Array({}, {reduction == LossReduction::sum ? total : total / n});
  };
}

double smooth(double z, double beta) { return std::abs(z) < beta ? z * z / (2 * beta) : std::abs(z) - beta / 2; }

const std::vector<DType> wide = {DType::f64, DType::f32}, narrow = {DType::f16, DType::bf16};
const RowOptions exactly{.dtypes = wide, .slack = 4, .gradient_slack = 4};
const RowOptions in_16_bits{.dtypes = narrow, .result = DType::f32, .slack = 4, .gradient_slack = 4};
constexpr auto none = LossReduction::none, sums = LossReduction::sum, means = LossReduction::mean;

}  // namespace

OP_TABLE(element_losses) {
  const Input x = input({3, 4}), t = input({3, 4}).range(0, 1);
  const auto bce = [](LossReduction reduction) -> OpFunction {
    return [=](const Tensors& v) {
      return binary_cross_entropy(v[0], v[1], {.weights = v.size() > 2 ? v[2] : Tensor(), .reduction = reduction});
    };
  };
  const auto naive_bce = [](double z, double target) {
    const double p = 1 / (1 + std::exp(-z));
    return -target * std::log(p) - (1 - target) * std::log(1 - p);
  };
  const auto positive = [](const Tensors& v) { return binary_cross_entropy(v[0], v[1], {.positive_weights = v[2]}); };
  table.op("binary_cross_entropy")
      .row("mean", {x, t}, bce(means), of_elements(means, naive_bce), exactly)
      .row("per element, weighted", {x, t, input({4}).positive()}, bce(none), of_elements(none, naive_bce), exactly)
      .row("sum, fixed targets", {x, input({3, 4}).range(0, 1).untracked()}, bce(sums), of_elements(sums, naive_bce),
           exactly)
      .row(
          "positive weights", {x, t, input({4}).positive()}, positive,
          [](const Arrays& v) {
            Array mean{Shape{}};
            for (int64_t i = 0; i < 12; ++i) {
              const double p = 1 / (1 + std::exp(-v[0][i]));
              mean[0] -= (v[2][i % 4] * v[1][i] * std::log(p) + (1 - v[1][i]) * std::log(1 - p)) / 12;
            }
            return mean;
          },
          exactly)
      .row("16-bit", {x, t}, bce(means), of_elements(means, naive_bce), in_16_bits)
      .row("nothing", {input({0, 4}), input({0, 4})}, bce(means), of_elements(means, naive_bce), exactly)
      .error<ShapeError>("shapes",
                         "binary_cross_entropy: targets of shape [4] for logits of shape [3, 4]; they must be equal",
                         [] {
                           binary_cross_entropy(ones({3, 4}), ones({4}));
                         })
      .error<ShapeError>("weights", "binary_cross_entropy: weights must broadcast to the logits' shape [4], not to …",
                         [] {
                           binary_cross_entropy(ones({4}), ones({4}), {.weights = ones({2, 4})});
                         });

  const auto l1 = [](double beta, LossReduction reduction) -> OpFunction {
    return [=](const Tensors& v) { return smooth_l1(v[0], v[1], {.beta = beta, .reduction = reduction}); };
  };
  const auto naive_l1 = [](double beta, LossReduction reduction) {
    return of_elements(reduction, [beta](double a, double b) { return smooth(a - b, beta); });
  };
  table.op("smooth_l1")
      .row("mean", {x, x}, l1(1, means), naive_l1(1, means), exactly)
      .row("per element", {x, x}, l1(0.3, none), naive_l1(0.3, none), exactly)
      .row("L1", {x, x}, l1(0, sums), naive_l1(0, sums), exactly)
      .row("16-bit", {x, x}, l1(1, means), naive_l1(1, means), in_16_bits)
      .row("nothing", {input({0}), input({0})}, l1(1, means), naive_l1(1, means), exactly)
      .error<ShapeError>("shapes", "smooth_l1: a target of shape [3] for an input of shape [2]; they must be equal",
                         [] { smooth_l1(ones({2}), ones({3})); })
      .error<Error>("beta", "smooth_l1: beta -1 must not be negative",
                    [] { smooth_l1(ones({2}), ones({2}), {.beta = -1}); });

  const auto kl = [](bool log_target, LossReduction reduction) -> OpFunction {
    return [=](const Tensors& v) { return kl_divergence(v[0], v[1], {log_target, reduction}); };
  };
  const auto naive_kl = [](double a, double b) { return b > 0 ? b * (std::log(b) - a) : 0; };
  const auto naive_log_kl = [](double a, double b) { return std::exp(b) * (b - a); };
  table.op("kl_divergence")
      .row("mean", {x, input({3, 4}).positive()}, kl(false, means), of_elements(means, naive_kl), exactly)
      .row("log target, per element", {x, x}, kl(true, none), of_elements(none, naive_log_kl), exactly)
      .row("zeros in the target", {x, input({3, 4}).integers(0, 1).untracked()}, kl(false, sums),
           of_elements(sums, naive_kl), exactly)
      .row("16-bit", {x, input({3, 4}).positive()}, kl(false, means), of_elements(means, naive_kl), in_16_bits)
      .row("nothing", {input({0}), input({0})}, kl(false, means), of_elements(means, naive_kl), exactly)
      .error<ShapeError>("shapes", "kl_divergence: a target of shape [3] for an input of shape [2]; they must be equal",
                         [] { kl_divergence(ones({2}), ones({3})); });
}

TEST_CASE("binary_cross_entropy: confident wrong logits give finite losses and gradients") {
  for (const float logit : {300.0f, -300.0f}) {
    Tensor x = tensor({logit});
    x.attach_grad();
    Tensor y;
    {
      const autograd::Record record;
      y = binary_cross_entropy(x, logit > 0 ? zeros({1}) : ones({1}));
    }
    y.backward();
    CHECK(y.item<float>() == 300);
    CHECK(x.grad().item<float>() == (logit > 0 ? 1 : -1));
  }
}
