// Against PyTorch: cases/losses.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/binary_cross_entropy.h"
#include "weft/autograd/ops/kl_divergence.h"
#include "weft/autograd/ops/nll_loss.h"
#include "weft/autograd/ops/smooth_l1.h"

using namespace weft;
using namespace weft::test;

namespace {
const std::map<std::string, LossReduction> reductions{
    {"mean", LossReduction::mean}, {"sum", LossReduction::sum}, {"none", LossReduction::none}};
}

TEST_CASE("golden: negative log likelihood, and smoothed cross entropy") {
  Functions nll, smoothed;
  for (const auto& [name, reduction] : reductions) {
    nll["weights_" + name] = [reduction = reduction](const Tensors& x, const Golden& golden) {
      return nll_loss(x[0], x[1], {.weights = golden.tensor("weights"), .reduction = reduction});
    };
    smoothed["weights_" + name] = [reduction = reduction](const Tensors& x, const Golden& golden) {
      return cross_entropy(x[0], x[1],
                           {.weights = golden.tensor("weights"), .reduction = reduction, .label_smoothing = 0.1});
    };
  }
  check_file("nll_loss", nll);
  check_file("cross_entropy_smoothed", smoothed);
}

TEST_CASE("golden: losses of elements") {
  check_file("binary_cross_entropy",
             {{"mean", binary_case([](const Tensor& x, const Tensor& t) { return binary_cross_entropy(x, t); })},
              {"positive", [](const Tensors& x, const Golden& golden) {
                 return binary_cross_entropy(x[0], x[1], {.positive_weights = golden.tensor("weights")});
               }}});
  const auto l1 = [](SmoothL1Options options) {
    return binary_case([options](const Tensor& a, const Tensor& b) { return smooth_l1(a, b, options); });
  };
  check_file("smooth_l1", {{"one", l1({})},
                           {"third", l1({.beta = 0.3, .reduction = LossReduction::none})},
                           {"l1", l1({.beta = 0, .reduction = LossReduction::sum})}});
  const auto kl = [](KlDivergenceOptions options) {
    return binary_case([options](const Tensor& a, const Tensor& b) { return kl_divergence(a, b, options); });
  };
  check_file("kl_divergence", {{"mean", kl({})}, {"log", kl({.log_target = true, .reduction = LossReduction::none})}});
}
