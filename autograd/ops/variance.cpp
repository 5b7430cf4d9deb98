// v = sum d^2 / (n - c),  d = x - mean x;   s = sqrt v
#include "weft/autograd/ops/variance.h"

#include <algorithm>

#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/norm.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/reduced.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/ops/geometry.h"

namespace weft {

namespace {

Tensor wide_variance(const char* operation, const Tensor& x, const VarianceOptions& options) {
  ops::check_floating(operation, x);
  const auto count = static_cast<double>(autograd::reduced_count(operation, x.shape(), options.axes));
  const Tensor wide = autograd::widened(x);
  const Tensor d = wide - mean(wide, {.axes = options.axes, .keep = true});
  return sum(square(d), {.axes = options.axes, .keep = options.keep}) / std::max(0.0, count - options.correction);
}

}  // namespace

Tensor var(const Tensor& x, const VarianceOptions& options) { return to(wide_variance("var", x, options), x.dtype()); }

Tensor stddev(const Tensor& x, const VarianceOptions& options) {
  return to(autograd::sqrt_or_zero(wide_variance("stddev", x, options)), x.dtype());
}

}  // namespace weft
