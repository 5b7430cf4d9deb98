#include "weft/tensor/ops/scatter.h"

#include <limits>

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/elementwise.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/sort.h"
#include "weft/tensor/ops/view.h"
#include "weft/tensor/ops/work.h"

namespace weft {

WEFT_KERNEL(ScatterAddArgs, scatter_add_kernel);

namespace ops {
namespace {

// The dtype in which sums are taken.
DType sum_dtype(DType t) { return is_floating(t) ? compute_dtype(t) : t == DType::u8 ? DType::i32 : t; }

void check_addable(const char* name, const Tensor& x, const Tensor& source) {
  check_same_device(name, x, source);
  WEFT_CHECK(DtypeError, x.dtype() == source.dtype(), name, ": dtypes ", x.dtype(), " and ", source.dtype(),
             " differ; convert one with .to(", x.dtype(), ")");
  WEFT_CHECK(DtypeError, x.dtype() != DType::boolean, name, ": bool has no sums; convert with .to(DType::i64)");
}

// What kernels on CUDA work along: equal indices side by side. Sorting 32 bits takes half the memory of 64.
Tensor sorted_order(Tensor& index, int64_t limit, int axis) {
  if (limit <= std::numeric_limits<int32_t>::max()) index = cast(index, DType::i32);
  return argsort(index, axis, false);
}

// y[…, index, …] += source along the axes of each; off them the extents are those of `lines`, to which the strides
// belong. `index` has `index_axis` as its axis of positions.
void accumulate(const Tensor& y, int y_axis, const Tensor& source, int source_axis, Tensor index, int index_axis,
                const Shape& lines, const Strides& y_lines, const Strides& source_lines, const Strides& index_lines) {
  const int64_t limit = y.shape()[y_axis];
  const Tensor order = y.device().is_cpu() ? Tensor() : sorted_order(index, limit, index_axis);
  const Strides strides[] = {y_lines, source_lines, index_lines};
  profile_work(scatter_add_kernel, source, source, source, index, order);  // y, where source adds: read and written
  scatter_add_kernel({y.dtype(), index.dtype(), limit, index.shape()[index_axis], collapse(lines, strides),
                      y.strides()[y_axis], source.strides()[source_axis], index.strides()[index_axis], source.raw(),
                      index.raw(), order.defined() ? order.data<int64_t>() : nullptr, y.raw()},
                     current_stream(y.device()));
}

Dims without(Dims dims, int axis) {
  dims.erase(axis);
  return dims;
}

// `y`: of the sum's dtype and the result's values so far.
Tensor scatter(const char* name, const Tensor& y, const Tensor& source, int axis, const Tensor& index,
               const IndexUser& user) {
  bool fits = index.shape() == source.shape() && index.rank() == y.rank();
  for (int i = 0; fits && i < y.rank(); ++i) fits = i == axis || index.shape()[i] <= y.shape()[i];
  WEFT_CHECK(ShapeError, fits, name, ": an index of shape ", index.shape(), " and a source of shape ", source.shape(),
             " for shape ", y.shape(), " along axis ", axis,
             "; index and source must have one shape, of the same rank and with no larger extent off the axis");
  const Tensor dense = checked_index(user, index, source, y.shape()[axis]);
  if (dense.numel() == 0) return y;
  const Tensor terms = cast(source, y.dtype());
  accumulate(y, axis, terms, axis, dense, axis, without(dense.shape(), axis), without(y.strides(), axis),
             without(terms.strides(), axis), without(dense.strides(), axis));
  return y;
}

Tensor select_add(const char* name, const Tensor& y, const Tensor& source, int axis, const Tensor& index,
                  const IndexUser& user) {
  Shape expected = without(y.shape(), axis);
  for (int i = 0; i < index.rank(); ++i) expected.insert(axis + i, index.shape()[i]);
  WEFT_CHECK(ShapeError, source.shape() == expected, name, ": a source of shape ", source.shape(), " for shape ",
             y.shape(), " and an index of shape ", index.shape(), " along axis ", axis, "; it must have shape ",
             expected);
  Tensor dense = checked_index(user, index, source, y.shape()[axis]);
  if (source.numel() == 0) return y;
  Tensor terms = cast(source, y.dtype());
  if (index.rank() != 1) {
    dense = reshape(dense, {dense.numel()});
    Shape flat = without(y.shape(), axis);
    flat.insert(axis, dense.numel());
    terms = reshape(terms, flat);
  }
  const Shape lines = without(y.shape(), axis);
  accumulate(y, axis, terms, axis, dense, 0, lines, without(y.strides(), axis), without(terms.strides(), axis),
             Dims::filled(lines.rank(), 0));
  return y;
}

// A copy to add to, or zeros.
Tensor start_from(const Tensor& x) {
  const DType dtype = sum_dtype(x.dtype());
  return x.dtype() == dtype ? clone(x) : cast(x, dtype);
}
Tensor start_of(const Tensor& source, const Shape& shape) {
  const bool channels_last = !source.is_contiguous() && source.is_contiguous(Layout::channels_last);
  const Strides strides = strides_of(shape, channels_last ? Layout::channels_last : Layout::row_major);
  numel_of(shape, "scatter");
  const Tensor y = empty_strided(shape, strides, sum_dtype(source.dtype()), source.device());
  fill(y, 0);
  return y;
}

}  // namespace

Tensor scatter_add(const Tensor& x, int64_t axis, const Tensor& index, const Tensor& source) {
  const int dim = normalize_axis("scatter_add", axis, x.rank());
  check_addable("scatter_add", x, source);
  return cast(scatter("scatter_add", start_from(x), source, dim, index, WEFT_INDEX_USER("scatter_add")), x.dtype());
}

Tensor index_add(const Tensor& x, int64_t axis, const Tensor& index, const Tensor& source) {
  const int dim = normalize_axis("index_add", axis, x.rank());
  check_addable("index_add", x, source);
  return cast(select_add("index_add", start_from(x), source, dim, index, WEFT_INDEX_USER("index_add")), x.dtype());
}

Tensor scatter_sum(const Tensor& source, int64_t axis, const Tensor& index, const Shape& shape) {
  const int dim = normalize_axis("gather", axis, shape.rank());
  return cast(scatter("gather", start_of(source, shape), source, dim, index, WEFT_INDEX_USER("gather")),
              source.dtype());
}

Tensor index_sum(const Tensor& source, int64_t axis, const Tensor& index, const Shape& shape, const IndexUser& user) {
  const int dim = normalize_axis(user.name, axis, shape.rank());
  return cast(select_add(user.name, start_of(source, shape), source, dim, index, user), source.dtype());
}

}  // namespace ops
}  // namespace weft
