// y = sum |x|;  y = sqrt(sum x^2);  y = max |x|:   dx = dy sign(x) / k at the k places where |x| = y, else 0
#include "weft/autograd/ops/norm.h"

#include <cmath>

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/ops/view.h"
#include "weft/autograd/ops/where.h"
#include "weft/autograd/record.h"
#include "weft/autograd/reduced.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/reduce.h"
#include "weft/tensor/ops/unary.h"

namespace weft {

namespace {

using namespace autograd;

// How much of dy each element of x receives: a constant almost everywhere, so it is not recorded.
Tensor shares_of_largest(const Tensor& x, const ReduceOptions& kept) {
  Tensor index;
  const Tensor size = ops::abs(x), top = ops::max(size, kept, index);
  const Tensor taken = ops::cast(ops::logical_or(ops::equal(size, top), ops::isnan(size)), x.dtype());
  return ops::mul(ops::sign(x), ops::div(taken, ops::sum(taken, kept)));
}

Tensor largest(const Tensor& x, const ReduceOptions& options) {
  some_reduced("norm", x.shape(), options.axes);
  Tensor index;
  Tensor y = ops::max(ops::abs(x), options, index);
  if (!tracked(x)) return y;
  return record("norm", y, edge(x, [x = saved(x), axes = options.axes](const Tensor& dy) {
                  const Tensor& value = x;
                  return mul(reshape(dy, kept_shape("norm", value.shape(), axes)),
                             shares_of_largest(value, {.axes = axes, .keep = true}));
                }));
}

}  // namespace

Tensor autograd::sqrt_or_zero(const Tensor& x) {
  const Tensor zero = ops::compare(CompareOp::equal, x, 0);
  return where(zero, 0.0, sqrt(where(zero, 1.0, x)));
}

Tensor norm(const Tensor& vector, const NormOptions& options) {
  const Tensor x = in_full(vector);
  ops::check_floating("norm", x);
  WEFT_CHECK(Error, options.p == 1 || options.p == 2 || (std::isinf(options.p) && options.p > 0), "norm: p is ",
             options.p, "; it is 1, 2, or infinity");
  reduced_count("norm", x.shape(), options.axes);  // names the operation in errors
  const ReduceOptions reduce{.axes = options.axes, .keep = options.keep};
  const Tensor wide = widened(x);
  const Tensor y = options.p == 1   ? sum(abs(wide), reduce)
                   : options.p == 2 ? sqrt_or_zero(sum(square(wide), reduce))
                                    : largest(wide, reduce);
  return to(y, x.dtype());
}

}  // namespace weft
