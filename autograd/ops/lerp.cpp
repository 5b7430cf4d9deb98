// y = a + w (b - a) for w < 1/2, else b - (1 - w) (b - a): exact at both ends
#include "weft/autograd/ops/lerp.h"

#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/where.h"
#include "weft/autograd/reduced.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/geometry.h"

namespace weft {

using autograd::widened;

Tensor lerp(const Tensor& start, const Tensor& end, double weight) {
  ops::check_floating("lerp", start);
  ops::check_floating("lerp", end);
  const Tensor a = widened(start), b = widened(end), d = b - a;
  return to(weight < 0.5 ? a + d * weight : b - d * (1 - weight), promote(start.dtype(), end.dtype()));
}

Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight) {
  ops::check_floating("lerp", start);
  ops::check_floating("lerp", end);
  ops::check_floating("lerp", weight);
  const Tensor a = widened(start), b = widened(end), w = widened(weight), d = b - a;
  const Tensor y = where(ops::compare(CompareOp::less, w, 0.5), a + d * w, b - d * (1 - w));
  return to(y, promote(promote(start.dtype(), end.dtype()), weight.dtype()));
}

}  // namespace weft
