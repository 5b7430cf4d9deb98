// y = (first half) * (second half), again and again;   gradients are those of mul
#include "weft/autograd/ops/prod.h"

#include <algorithm>

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/view.h"
#include "weft/autograd/reduced.h"

namespace weft {

namespace {

// x as [count, kept axes].
Tensor with_reduced_first(const Tensor& x, const std::vector<int64_t>& axes, int64_t count) {
  Dims order, shape{count}, kept;
  for (int i = 0; i < x.rank(); ++i) {
    const bool reduced = axes.empty() || std::any_of(axes.begin(), axes.end(), [&](int64_t axis) {
                           return normalize_axis("prod", axis, x.rank()) == i;
                         });
    if (reduced) {
      order.push_back(i);
    } else {
      kept.push_back(i);
      shape.push_back(x.shape()[i]);
    }
  }
  for (const int64_t axis : kept) order.push_back(axis);
  return reshape(permute(x, order), shape);
}

// [n, …] -> [1, …]. An element left over in an odd round waits for the end.
Tensor fold(Tensor x) {
  Tensor rest;
  for (int64_t n = x.size(0), half = n / 2; n > 1; n = half, half = n / 2) {
    if (n % 2) {
      const Tensor last = slice(x, 0, n - 1, n);
      rest = rest.defined() ? mul(rest, last) : last;
    }
    x = mul(slice(x, 0, 0, half), slice(x, 0, half, 2 * half));
  }
  return rest.defined() ? mul(x, rest) : x;
}

}  // namespace

Tensor prod(const Tensor& factors, const ReduceOptions& options) {
  const Tensor x = autograd::in_full(factors);
  const int64_t count = autograd::reduced_count("prod", x.shape(), options.axes);
  const bool floating = is_floating(x.dtype());
  const Tensor wide = floating ? autograd::widened(x) : to(x, DType::i64);
  const DType dtype = floating ? x.dtype() : DType::i64;
  if (count == 0) return to(sum(wide, options) + 1, dtype);
  const Tensor y = select(fold(with_reduced_first(wide, options.axes, count)), 0, 0);
  const Tensor own = count == 1 ? clone(y) : y;  // never a view of x
  return to(options.keep ? reshape(own, autograd::kept_shape("prod", x.shape(), options.axes)) : own, dtype);
}

}  // namespace weft
