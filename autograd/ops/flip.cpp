// y = flip(x):  dx = flip(dy);   y = roll(x, s):  dx = roll(dy, -s)
#include "weft/autograd/ops/flip.h"

#include <algorithm>

#include "weft/autograd/record.h"
#include "weft/tensor/ops/flip.h"

namespace weft {

using namespace autograd;

Tensor flip(const Tensor& x, const Dims& axes) {
  Tensor y = ops::flip(x, axes);
  return tracked(x) ? record("flip", y, edge(x, [axes](const Tensor& dy) { return flip(dy, axes); })) : y;
}

Tensor roll(const Tensor& x, int64_t shift, int64_t axis) {
  Tensor y = ops::roll(x, shift, axis);
  if (!tracked(x)) return y;
  // The same way back, without negating the smallest integer.
  const int64_t extent = std::max<int64_t>(x.size(axis), 1), back = (extent - shift % extent) % extent;
  return record("roll", y, edge(x, [back, axis](const Tensor& dy) { return roll(dy, back, axis); }));
}

}  // namespace weft
