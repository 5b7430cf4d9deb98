#include "weft/tensor/ops/concat.h"

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/view.h"

namespace weft::ops {

namespace {

Layout common_layout(std::span<const Tensor> parts) {
  bool row_major = true, channels_last = parts[0].rank() >= 3;
  for (const Tensor& x : parts) {
    row_major = row_major && x.is_contiguous();
    channels_last = channels_last && x.is_contiguous(Layout::channels_last);
  }
  return channels_last && !row_major ? Layout::channels_last : Layout::row_major;
}

}  // namespace

Tensor concat(std::span<const Tensor> parts, int64_t axis) {
  WEFT_CHECK(ShapeError, !parts.empty(), "concat: no tensors");
  const Tensor& first = parts[0];
  const int dim = normalize_axis("concat", axis, first.rank());
  Shape shape = first.shape();
  DType dtype = first.dtype();
  for (const Tensor& x : parts.subspan(1)) {
    check_same_device("concat", first, x);
    bool fits = x.rank() == first.rank();
    for (int i = 0; fits && i < x.rank(); ++i) fits = i == dim || x.shape()[i] == first.shape()[i];
    WEFT_CHECK(ShapeError, fits, "concat: shapes ", first.shape(), " and ", x.shape(), " differ off axis ", axis);
    shape[dim] += x.shape()[dim];
    dtype = promote(dtype, x.dtype());
  }
  numel_of(shape, "concat");
  Tensor y = empty_strided(shape, strides_of(shape, common_layout(parts)), dtype, first.device());
  int64_t start = 0;
  for (const Tensor& x : parts) {
    copy(slice(y, dim, start, start + x.shape()[dim]), x);
    start += x.shape()[dim];
  }
  return y;
}

}  // namespace weft::ops
