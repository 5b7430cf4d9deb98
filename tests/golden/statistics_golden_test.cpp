// Against PyTorch: cases/statistics.py.
#include <doctest/doctest.h>

#include <limits>

#include "tests/support/golden.h"
#include "weft/autograd/ops/cumsum.h"
#include "weft/autograd/ops/logsumexp.h"
#include "weft/autograd/ops/min.h"
#include "weft/autograd/ops/norm.h"
#include "weft/autograd/ops/prod.h"
#include "weft/autograd/ops/variance.h"

using namespace weft;
using namespace weft::test;

namespace {

Function reduced(Tensor (*f)(const Tensor&, const ReduceOptions&), const ReduceOptions& options) {
  return [=](const Tensors& x, const Golden&) { return f(x[0], options); };
}
Function spread(Tensor (*f)(const Tensor&, const VarianceOptions&), const VarianceOptions& options) {
  return [=](const Tensors& x, const Golden&) { return f(x[0], options); };
}
Function normed(const NormOptions& options) {
  return [=](const Tensors& x, const Golden&) { return norm(x[0], options); };
}
Function running(int64_t axis) {
  return [=](const Tensors& x, const Golden&) { return cumsum(x[0], axis); };
}

}  // namespace

TEST_CASE("golden: products, minima, variances, norms, running sums") {
  check_file("statistics",
             {{"prod_axis", reduced(prod, {.axes = {1}})},
              {"prod_all", reduced(prod, {})},
              {"prod_zeros", reduced(prod, {.axes = {1}, .keep = true})},
              {"min_axis",
               [](const Tensors& x, const Golden& golden) {
                 golden.compare("index", argmin(x[0], 1), 0);
                 return min(x[0], {.axes = {1}});
               }},
              {"min_all", reduced(min, {})},
              {"var_axes", spread(var, {.axes = {0, 2}})},
              {"var_population", spread(var, {.axes = {1}, .keep = true, .correction = 0})},
              {"std_all", spread(stddev, {})},
              {"std_axis", spread(stddev, {.axes = {0}, .correction = 0})},
              {"std_equal", spread(stddev, {.axes = {1}})},
              {"norm_1", normed({.p = 1, .axes = {0, 1}})},
              {"norm_2", normed({.axes = {2}})},
              {"norm_2_zero", normed({.axes = {1}})},
              {"norm_inf", normed({.p = std::numeric_limits<double>::infinity(), .axes = {1}, .keep = true})},
              {"logsumexp_axes", reduced(logsumexp, {.axes = {1, 2}})},
              {"logsumexp_far", reduced(logsumexp, {.axes = {0}})},
              {"cumsum_first", running(0)},
              {"cumsum_middle", running(1)},
              {"cumsum_last", running(-1)}});
}
