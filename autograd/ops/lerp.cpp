// y = a + w (b - a) for w < 1/2, else b - (1 - w) (b - a): exact at both ends
#include "weft/autograd/ops/lerp.h"

#include "weft/autograd/ops/where.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/geometry.h"

namespace weft {

Tensor lerp(const Tensor& start, const Tensor& end, double weight) {
  ops::check_floating("lerp", start);
  ops::check_floating("lerp", end);
  const Tensor d = end - start;
  return weight < 0.5 ? start + d * weight : end - d * (1 - weight);
}

Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight) {
  ops::check_floating("lerp", start);
  ops::check_floating("lerp", end);
  ops::check_floating("lerp", weight);
  const Tensor d = end - start;
  return where(ops::compare(CompareOp::less, weight, 0.5), start + d * weight, end - d * (1 - weight));
}

}  // namespace weft
