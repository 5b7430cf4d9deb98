#include "weft/tensor/ops/gather.h"

#include "weft/tensor/ops/elementwise.h"
#include "weft/tensor/ops/work.h"

namespace weft {

WEFT_KERNEL(GatherArgs, gather_kernel);
WEFT_KERNEL(GatherArgs, place_kernel);
WEFT_KERNEL(CheckIndexArgs, check_index_kernel);

namespace ops {
namespace {

[[noreturn]] void fail_at(const IndexUser& user, const Tensor& index, int64_t limit, int64_t position) {
  const int64_t value = index.dtype() == DType::i64 ? index.data<int64_t>()[position] : index.data<int32_t>()[position];
  Dims place = index.shape();
  for (int i = place.rank() - 1; i >= 0; --i) {
    place[i] = position % index.shape()[i];
    position /= index.shape()[i];
  }
  fail<IndexError>(user.name, ": index ", value, " at ", place, " is out of range [0, ", limit,
                   "); positions count from 0, none is negative");
}

// `selected` has the index's shape; `whole` differs from it along the axis.
void run(Kernel<GatherArgs>& kernel, const Tensor& whole, const Tensor& selection, const Tensor& index, int axis) {
  if (selection.numel() == 0) return;
  Strides beside = whole.strides();
  beside[axis] = 0;
  const Strides strides[] = {selection.strides(), beside, index.strides()};
  profile_work(kernel, selection, selection, index);  // of the whole, as many elements as are selected
  kernel({size_of(whole.dtype()), index.dtype(), whole.shape()[axis], whole.strides()[axis],
          collapse(index.shape(), strides), index.raw(), selection.raw(), whole.raw()},
         current_stream(whole.device()));
}

void check_fits(const char* name, const Tensor& index, const Shape& shape, int axis) {
  bool fits = index.rank() == shape.rank();
  for (int i = 0; fits && i < shape.rank(); ++i) fits = i == axis || index.shape()[i] <= shape[i];
  WEFT_CHECK(ShapeError, fits, name, ": an index of shape ", index.shape(), " for shape ", shape, " along axis ", axis,
             "; it must have the same rank and no larger extent off the axis");
}

}  // namespace

Tensor checked_index(const IndexUser& user, const Tensor& index, const Tensor& x, int64_t limit) {
  WEFT_CHECK(DtypeError, index.dtype() == DType::i64 || index.dtype() == DType::i32, user.name, ": the index is ",
             index.dtype(), ", not int64 or int32; convert it with .to(DType::i64)");
  check_same_device(user.name, x, index);
  const Tensor dense = contiguous(index);
  if (dense.numel() == 0) return dense;
  int64_t bad = dense.numel();
  profile_work(check_index_kernel, dense);
  check_index_kernel(
      {dense.dtype(), dense.numel(), limit, dense.raw(), user.message, dense.device().is_cpu() ? &bad : nullptr},
      current_stream(dense.device()));
  if (bad < dense.numel()) fail_at(user, dense, limit, bad);
  return dense;
}

Tensor gather(const Tensor& x, int64_t axis, const Tensor& index) {
  const int dim = normalize_axis("gather", axis, x.rank());
  check_fits("gather", index, x.shape(), dim);
  const Tensor dense = checked_index(WEFT_INDEX_USER("gather"), index, x, x.shape()[dim]);
  const Tensor y = empty_strided(dense.shape(), result_strides(dense.shape(), {&x}), x.dtype(), x.device());
  run(gather_kernel, x, y, dense, dim);
  return y;
}

Tensor index_select(const Tensor& x, int64_t axis, const Tensor& index, const IndexUser& user) {
  const int dim = normalize_axis(user.name, axis, x.rank());
  const Tensor dense = checked_index(user, index, x, x.shape()[dim]);
  // As many axes of extent 1 in the place of the axis as the index has; the operands are views of that rank.
  Shape shape;
  Strides x_strides, index_strides;
  const auto push = [&](int64_t extent, int64_t x_stride, int64_t index_stride) {
    shape.push_back(extent);
    x_strides.push_back(x_stride);
    index_strides.push_back(index_stride);
  };
  for (int i = 0; i < dim; ++i) push(x.shape()[i], x.strides()[i], 0);
  for (int i = 0; i < dense.rank(); ++i) push(dense.shape()[i], 0, dense.strides()[i]);
  for (int i = dim + 1; i < x.rank(); ++i) push(x.shape()[i], x.strides()[i], 0);
  numel_of(shape, user.name);
  const bool channels_last = dense.rank() == 1 && !x.is_contiguous() && x.is_contiguous(Layout::channels_last);
  const Strides y_strides = strides_of(shape, channels_last ? Layout::channels_last : Layout::row_major);
  const Tensor y = empty_strided(shape, y_strides, x.dtype(), x.device());
  if (y.numel() == 0) return y;
  const Strides strides[] = {y_strides, x_strides, index_strides};
  profile_work(gather_kernel, y, y, dense);  // of x, as many elements as y has
  gather_kernel({size_of(x.dtype()), dense.dtype(), x.shape()[dim], x.strides()[dim], collapse(shape, strides),
                 dense.raw(), y.raw(), x.raw()},
                current_stream(x.device()));
  return y;
}

Tensor place(const Tensor& source, int64_t axis, const Tensor& index, const Shape& shape) {
  const int dim = normalize_axis("place", axis, shape.rank());
  check_fits("place", index, shape, dim);
  WEFT_CHECK(ShapeError, source.shape() == index.shape(), "place: source of shape ", source.shape(),
             " for an index of shape ", index.shape());
  const Tensor dense = checked_index(WEFT_INDEX_USER("place"), index, source, shape[dim]);
  const Tensor y = zeros(shape, {.dtype = source.dtype(), .device = source.device()});
  run(place_kernel, y, source, dense, dim);
  return y;
}

}  // namespace ops
}  // namespace weft
