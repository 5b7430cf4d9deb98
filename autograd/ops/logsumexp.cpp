// y = m + log(sum(exp(x - m))),  m = max x, a constant here;   dx = dy exp(x - y), by the parts
#include "weft/autograd/ops/logsumexp.h"

#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/ops/view.h"
#include "weft/autograd/reduced.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/reduce.h"
#include "weft/tensor/ops/where.h"

namespace weft {

Tensor logsumexp(const Tensor& x, const ReduceOptions& options) {
  ops::check_floating("logsumexp", x);
  const int64_t count = autograd::reduced_count("logsumexp", x.shape(), options.axes);
  const Tensor wide = autograd::widened(x);
  if (count == 0) return to(log(sum(wide, options)), x.dtype());
  Tensor index;
  const Tensor largest = ops::max(wide, {.axes = options.axes, .keep = true}, index);
  const Tensor m = ops::where(ops::isfinite(largest), largest, 0.0);  // inf - inf would be NaN
  const Tensor y = log(sum(exp(wide - m), options));
  return to(y + reshape(m, y.shape()), x.dtype());
}

}  // namespace weft
