#include "weft/tensor/ops/flip.h"

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/view.h"

namespace weft::ops {

Tensor flip(const Tensor& x, const Dims& axes) {
  // A view with negative strides, which only the copy below sees.
  Strides strides = x.strides();
  int64_t offset = x.impl().offset;
  unsigned seen = 0;
  for (const int64_t asked : axes) {
    const int axis = normalize_axis("flip", asked, x.rank());
    WEFT_CHECK(IndexError, !(seen >> axis & 1u), "flip: axes ", axes, " name axis ", axis, " twice");
    seen |= 1u << axis;
    offset += x.numel() > 0 ? (x.shape()[axis] - 1) * strides[axis] : 0;
    strides[axis] = -strides[axis];
  }
  const Tensor y = empty_like(x);
  copy(y, view(x, x.shape(), strides, offset));
  return y;
}

Tensor roll(const Tensor& x, int64_t shift, int64_t axis) {
  const int dim = normalize_axis("roll", axis, x.rank());
  const int64_t extent = x.shape()[dim];
  const Tensor y = empty_like(x);
  if (x.numel() == 0) return y;
  const int64_t by = (shift % extent + extent) % extent;
  copy(slice(y, dim, by, extent), slice(x, dim, 0, extent - by));
  if (by > 0) copy(slice(y, dim, 0, by), slice(x, dim, extent - by, extent));
  return y;
}

}  // namespace weft::ops
