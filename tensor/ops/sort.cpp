#include "weft/tensor/ops/sort.h"

#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/view.h"
#include "weft/tensor/ops/work.h"

namespace weft {

WEFT_KERNEL(SortArgs, sort_kernel);

namespace ops {
namespace {

// `values` undefined: not wanted.
void run(const Tensor& x, int axis, bool descending, int64_t count, const Tensor& values, const Tensor& index) {
  const AxisSplit split = split_at(x, axis);
  const int64_t item = size_of(x.dtype()) == 8 ? 16 : 8;
  Tensor scratch;
  if (split.n > sort_short) scratch = empty({2 * x.numel(), item}, {.dtype = DType::u8, .device = x.device()});
  profile_work(sort_kernel, x, values, index, scratch);
  sort_kernel({x.dtype(), split.outer, split.n, split.inner, count, descending, x.raw(),
               values.defined() ? values.raw() : nullptr, static_cast<int64_t*>(index.raw()),
               scratch.defined() ? scratch.raw() : nullptr},
              current_stream(x.device()));
}

int checked_axis(const char* name, const Tensor& x, int64_t axis, int64_t count) {
  const int dim = normalize_axis(name, axis, x.rank());
  const int64_t extent = x.shape()[dim];
  WEFT_CHECK(ShapeError, extent < int64_t{1} << 31, name, ": axis ", axis, " of shape ", x.shape(),
             " is too long to sort; the limit is 2147483647");
  WEFT_CHECK(ShapeError, count >= 0 && count <= extent, name, ": ", count, " elements of an axis of ", extent,
             " (axis ", axis, " of shape ", x.shape(), ")");
  return dim;
}

}  // namespace

Tensor sort(const char* name, const Tensor& x, int64_t axis, bool descending, int64_t count, Tensor& index) {
  const int dim = checked_axis(name, x, axis, count);
  const Tensor dense = dense_like(x), part = slice(dense, dim, 0, count);
  const Strides strides = dense_strides_in_order_of(part);
  const Tensor values = empty_strided(part.shape(), strides, x.dtype(), x.device());
  index = empty_strided(part.shape(), strides, DType::i64, x.device());
  if (values.numel() > 0) run(dense, dim, descending, count, values, index);
  return values;
}

Tensor argsort(const Tensor& x, int64_t axis, bool descending) {
  const int dim = checked_axis("argsort", x, axis, 0);
  const Tensor dense = dense_like(x);
  const Tensor index = empty_strided(dense.shape(), dense.strides(), DType::i64, x.device());
  if (index.numel() > 0) run(dense, dim, descending, x.shape()[dim], Tensor(), index);
  return index;
}

}  // namespace ops
}  // namespace weft
