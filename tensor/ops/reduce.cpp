#include "weft/tensor/ops/reduce.h"

#include <limits>

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/elementwise.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/work.h"

namespace weft {

WEFT_KERNEL(SumArgs, sum_kernel);
WEFT_KERNEL(MaxArgs, max_kernel);
WEFT_KERNEL(MaxBackwardArgs, max_backward_kernel);
WEFT_KERNEL(MaxGatherArgs, max_gather_kernel);

namespace ops {

namespace {

// Reduced axes as a set of bits.
uint32_t axes_of(const char* operation, int rank, const ReduceOptions& options) {
  if (options.axes.empty()) return (1u << rank) - 1;
  uint32_t axes = 0;
  for (const int64_t axis : options.axes) {
    const uint32_t bit = 1u << normalize_axis(operation, axis, rank);
    WEFT_CHECK(IndexError, !(axes & bit), operation, ": axis ", axis, " is named twice");
    axes |= bit;
  }
  return axes;
}

Shape reduced_shape(const Shape& shape, uint32_t axes, bool keep) {
  Shape reduced;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!(axes >> i & 1u))
      reduced.push_back(shape[i]);
    else if (keep)
      reduced.push_back(1);
  }
  return reduced;
}

// Some axes of a shape in an order of their own.
struct AxisList {
  int axis[max_rank];
  int count = 0;

  void add(int i) { axis[count++] = i; }
  void sort_slowest_first(const Strides& strides) {
    for (int i = 1; i < count; ++i)
      for (int j = i; j > 0 && strides[axis[j]] > strides[axis[j - 1]]; --j) std::swap(axis[j], axis[j - 1]);
  }
};

struct Axes {
  AxisList kept, reduced;
};

Axes split_axes(const Shape& shape, uint32_t bits) {
  Axes axes;
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] != 1) (bits >> i & 1u ? axes.reduced : axes.kept).add(i);
  return axes;
}

// Extents and strides of the listed axes, merged where x steps through both like one. Returns the number of elements.
int64_t merge(const Tensor& x, const AxisList& list, int& rank, int64_t* extent, int64_t* stride) {
  int64_t numel = 1;
  rank = 0;
  for (int i = 0; i < list.count; ++i) {
    const int64_t n = x.shape()[list.axis[i]], step = x.strides()[list.axis[i]];
    numel *= n;
    if (rank > 0 && stride[rank - 1] == n * step)
      --rank;
    else
      extent[rank] = 1;
    extent[rank] *= n;
    stride[rank++] = step;
  }
  return numel;
}

Reduction reduction_of(const Tensor& x, const Axes& axes) {
  Reduction r;
  r.kept = merge(x, axes.kept, r.kept_rank, r.kept_extent, r.kept_stride);
  r.reduced = merge(x, axes.reduced, r.reduced_rank, r.reduced_extent, r.reduced_stride);
  return r;
}

// An output whose kept axes are dense in the listed order.
Tensor empty_output(const Tensor& x, uint32_t bits, bool keep, const AxisList& kept, DType dtype) {
  Strides full = Dims::filled(x.rank(), 1);
  int64_t step = 1;
  for (int i = kept.count - 1; i >= 0; --i) {
    full[kept.axis[i]] = step;
    step *= std::max<int64_t>(x.shape()[kept.axis[i]], 1);
  }
  Strides strides;
  for (int i = 0; i < x.rank(); ++i)
    if (keep || !(bits >> i & 1u)) strides.push_back(full[i]);
  return empty_strided(reduced_shape(x.shape(), bits, keep), strides, dtype, x.device());
}

Tensor sum_over(const Tensor& x, uint32_t bits, bool keep, double divisor) {
  Axes axes = split_axes(x.shape(), bits);
  axes.kept.sort_slowest_first(x.strides());
  axes.reduced.sort_slowest_first(x.strides());
  Tensor y = empty_output(x, bits, keep, axes.kept, is_floating(x.dtype()) ? x.dtype() : DType::i64);
  if (y.numel() == 0) return y;
  if (x.numel() == 0) {
    fill(y, divisor == 0 ? std::numeric_limits<double>::quiet_NaN() : 0);
    return y;
  }
  profile_work(sum_kernel, x, y);
  sum_kernel({x.dtype(), reduction_of(x, axes), divisor, x.raw(), y.raw()}, current_stream(x.device()));
  return y;
}

// Returns the index; fills in the values if asked.
Tensor max_over(const char* operation, const Tensor& x, const ReduceOptions& options, Tensor* values) {
  WEFT_CHECK(DtypeError, x.dtype() != DType::boolean, operation, ": bool is not ordered here; convert with .to(dtype)");
  const uint32_t bits = axes_of(operation, x.rank(), options);
  Axes axes = split_axes(x.shape(), bits);
  axes.kept.sort_slowest_first(x.strides());
  if (values) *values = empty_output(x, bits, options.keep, axes.kept, x.dtype());
  Tensor index = empty_output(x, bits, options.keep, axes.kept, DType::i64);
  if (index.numel() == 0) return index;
  WEFT_CHECK(ShapeError, x.numel() > 0, operation, ": no elements along the reduced axes of shape ", x.shape());
  const Tensor absent;
  profile_work(max_kernel, x, values ? *values : absent, index);
  max_kernel(
      {x.dtype(), reduction_of(x, axes), x.raw(), values ? values->raw() : nullptr, static_cast<int64_t*>(index.raw())},
      current_stream(x.device()));
  return index;
}

// Strides of a reduced tensor seen with the full shape: 0 along reduced axes.
Strides strides_in(const Tensor& reduced, const Shape& shape, uint32_t bits, bool keep) {
  Strides strides = Dims::filled(shape.rank(), 0);
  int from = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!(bits >> i & 1u))
      strides[i] = reduced.strides()[from++];
    else if (keep)
      ++from;
  }
  return strides;
}

void check_index(const char* operation, const Tensor& index, const Shape& expected) {
  WEFT_CHECK(DtypeError, index.dtype() == DType::i64, operation, ": the index is ", index.dtype(), ", not int64");
  WEFT_CHECK(ShapeError, index.shape() == expected, operation, ": the index has shape ", index.shape(), ", expected ",
             expected);
}

}  // namespace

Tensor sum(const Tensor& x) { return sum(x, {}); }
Tensor sum(const Tensor& x, const ReduceOptions& options) {
  return sum_over(x, axes_of("sum", x.rank(), options), options.keep, 1);
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int lead = x.rank() - shape.rank();
  WEFT_CHECK(ShapeError, lead >= 0 && broadcast("sum_to", shape, x.shape()) == x.shape(), "sum_to: shape ", shape,
             " does not broadcast to ", x.shape());
  uint32_t bits = (1u << lead) - 1;
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] == 1) bits |= 1u << (lead + i);
  const Tensor y = sum_over(x, bits, true, 1);
  Strides strides;
  for (int i = lead; i < x.rank(); ++i) strides.push_back(y.strides()[i]);
  return view(y, shape, strides, y.impl().offset);
}

Tensor mean(const Tensor& x) { return mean(x, {}); }
Tensor mean(const Tensor& x, const ReduceOptions& options) {
  check_floating("mean", x);
  const uint32_t axes = axes_of("mean", x.rank(), options);
  double count = 1;
  for (int i = 0; i < x.rank(); ++i)
    if (axes >> i & 1u) count *= static_cast<double>(x.shape()[i]);
  return sum_over(x, axes, options.keep, count);
}

Tensor max(const Tensor& x, const ReduceOptions& options, Tensor& index) {
  Tensor values;
  index = max_over("max", x, options, &values);
  return values;
}

Tensor argmax(const Tensor& x, int64_t axis, bool keep) {
  return max_over("argmax", x, {.axes = {axis}, .keep = keep}, nullptr);
}

Tensor max_backward(const Tensor& dy, const Tensor& index, const Shape& shape, const ReduceOptions& options) {
  check_floating("max_backward", dy);
  check_same_device("max_backward", dy, index);
  const uint32_t bits = axes_of("max_backward", shape.rank(), options);
  const Shape reduced = reduced_shape(shape, bits, options.keep);
  check_index("max_backward", index, reduced);
  WEFT_CHECK(ShapeError, dy.shape() == reduced, "max_backward: dy has shape ", dy.shape(), ", expected ", reduced);
  Tensor dx = empty_strided(shape, strides_of(shape), dy.dtype(), dy.device());
  if (dx.numel() == 0) return dx;
  Strides position = Dims::filled(shape.rank(), 0);
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (!(bits >> i & 1u)) continue;
    position[i] = step;
    step *= shape[i];
  }
  const Strides strides[] = {dx.strides(), strides_in(dy, shape, bits, options.keep),
                             strides_in(index, shape, bits, options.keep), position};
  profile_work(max_backward_kernel, dy, index, dx);
  max_backward_kernel(
      {dy.dtype(), collapse(shape, strides), dy.raw(), static_cast<const int64_t*>(index.raw()), dx.raw()},
      current_stream(dy.device()));
  return dx;
}

Tensor max_gather(const Tensor& x, const Tensor& index, const ReduceOptions& options) {
  check_same_device("max_gather", x, index);
  const uint32_t bits = axes_of("max_gather", x.rank(), options);
  check_index("max_gather", index, reduced_shape(x.shape(), bits, options.keep));
  const Tensor places = dense_like(index);
  Axes axes = split_axes(x.shape(), bits);
  axes.kept.sort_slowest_first(strides_in(places, x.shape(), bits, options.keep));
  Tensor y = empty_strided(places.shape(), places.strides(), x.dtype(), x.device());
  if (y.numel() == 0) return y;
  profile_work(max_gather_kernel, x, places, y);
  max_gather_kernel({x.dtype(), reduction_of(x, axes), x.raw(), static_cast<const int64_t*>(places.raw()), y.raw()},
                    current_stream(x.device()));
  return y;
}

}  // namespace ops
}  // namespace weft
