#include "weft/tensor/ops/view.h"

#include <algorithm>

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/geometry.h"

namespace weft::ops {

namespace {

// The shape with its -1 filled in.
Shape completed(const Tensor& x, const Shape& asked) {
  Shape shape = asked;
  int open = -1;
  int64_t known = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1) {
      WEFT_CHECK(ShapeError, open < 0, "reshape: more than one -1 in ", asked);
      open = i;
    } else {
      WEFT_CHECK(ShapeError, shape[i] >= 0 && (known == 0 || shape[i] <= (int64_t{1} << 62) / known), "reshape: shape ",
                 asked, " is not a shape");
      known *= shape[i];
    }
  }
  if (open >= 0 && known > 0) shape[open] = x.numel() / known;
  WEFT_CHECK(ShapeError, (open < 0 || known > 0) && numel_of(shape, "reshape") == x.numel(), "reshape: ", x.numel(),
             " elements of shape ", x.shape(), " do not fill ", asked);
  return shape;
}

// Strides under which x's memory, in logical order, has `shape`; false if there are none. numel > 0.
bool view_strides(const Tensor& x, const Shape& shape, Strides& strides) {
  // x's dimensions merged into the fewest that step through memory evenly, slowest first.
  int64_t extent[max_rank], stride[max_rank];
  int rank = 0;
  for (int i = 0; i < x.rank(); ++i) {
    if (x.shape()[i] == 1) continue;
    if (rank > 0 && stride[rank - 1] == x.shape()[i] * x.strides()[i]) {
      extent[rank - 1] *= x.shape()[i];
    } else {
      extent[rank++] = x.shape()[i];
    }
    stride[rank - 1] = x.strides()[i];
  }
  // Each of them is cut, from the fast end, into extents of the new shape.
  strides = Dims::filled(shape.rank(), 1);
  int64_t left = rank > 0 ? extent[rank - 1] : 1, step = rank > 0 ? stride[rank - 1] : 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (left == 1 && shape[i] != 1) {
      --rank;
      left = extent[rank - 1];
      step = stride[rank - 1];
    }
    strides[i] = step;
    if (left % shape[i] != 0) return false;
    left /= shape[i];
    step *= shape[i];
  }
  return true;
}

int64_t clamped(int64_t position, int64_t extent) {
  return std::clamp<int64_t>(position < 0 ? position + extent : position, 0, extent);
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& asked) {
  const Shape shape = completed(x, asked);
  if (shape == x.shape()) return view(x, shape, x.strides(), x.impl().offset);
  Strides strides;
  if (x.numel() == 0) return view(x, shape, strides_of(shape), x.impl().offset);
  if (view_strides(x, shape, strides)) return view(x, shape, strides, x.impl().offset);
  const Tensor dense = contiguous(x);
  return view(dense, shape, strides_of(shape), dense.impl().offset);
}

Tensor flatten(const Tensor& x, int64_t from, int64_t to) {
  if (x.rank() == 0) return reshape(x, {1});
  const int first = normalize_axis("flatten", from, x.rank()), last = normalize_axis("flatten", to, x.rank());
  WEFT_CHECK(IndexError, first <= last, "flatten: axis ", from, " comes after axis ", to);
  Shape shape = x.shape();
  for (int i = last; i > first; --i) {
    shape[i - 1] *= shape[i];
    shape.erase(i);
  }
  return reshape(x, shape);
}

Tensor permute(const Tensor& x, const Dims& order) {
  WEFT_CHECK(IndexError, order.rank() == x.rank(), "permute: order ", order, " for a tensor of rank ", x.rank());
  Shape shape = x.shape();
  Strides strides = x.strides();
  uint32_t seen = 0;
  for (int i = 0; i < order.rank(); ++i) {
    const int axis = normalize_axis("permute", order[i], x.rank());
    WEFT_CHECK(IndexError, !(seen >> axis & 1u), "permute: order ", order, " names axis ", axis, " twice");
    seen |= 1u << axis;
    shape[i] = x.shape()[axis];
    strides[i] = x.strides()[axis];
  }
  return view(x, shape, strides, x.impl().offset);
}

Tensor transpose(const Tensor& x, int64_t a, int64_t b) {
  const int first = normalize_axis("transpose", a, x.rank()), second = normalize_axis("transpose", b, x.rank());
  Shape shape = x.shape();
  Strides strides = x.strides();
  std::swap(shape[first], shape[second]);
  std::swap(strides[first], strides[second]);
  return view(x, shape, strides, x.impl().offset);
}

Tensor expand(const Tensor& x, const Shape& asked) {
  Shape shape = asked;
  const int lead = shape.rank() - x.rank();
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] == -1 && i >= lead) shape[i] = x.shape()[i - lead];
  numel_of(shape, "expand");
  bool fits = lead >= 0;
  for (int i = 0; fits && i < x.rank(); ++i) fits = x.shape()[i] == shape[lead + i] || x.shape()[i] == 1;
  WEFT_CHECK(ShapeError, fits, "expand: shape ", x.shape(), " does not broadcast to ", asked);
  return view(x, shape, broadcast_strides(x, shape), x.impl().offset);
}

Tensor unsqueeze(const Tensor& x, int64_t axis) {
  const int position = normalize_axis("unsqueeze", axis, x.rank() + 1);
  Shape shape = x.shape();
  Strides strides = x.strides();
  strides.insert(position, position < x.rank() ? shape[position] * strides[position] : 1);
  shape.insert(position, 1);
  return view(x, shape, strides, x.impl().offset);
}

Tensor squeeze(const Tensor& x, int64_t axis) {
  const int position = normalize_axis("squeeze", axis, x.rank());
  Shape shape = x.shape();
  Strides strides = x.strides();
  WEFT_CHECK(ShapeError, shape[position] == 1, "squeeze: axis ", axis, " of shape ", shape, " is longer than 1");
  shape.erase(position);
  strides.erase(position);
  return view(x, shape, strides, x.impl().offset);
}

Tensor slice(const Tensor& x, int64_t axis, int64_t start, int64_t stop, int64_t step) {
  const int dim = normalize_axis("slice", axis, x.rank());
  WEFT_CHECK(ShapeError, step > 0, "slice: step ", step, " is not positive");
  const int64_t first = clamped(start, x.shape()[dim]), last = clamped(stop, x.shape()[dim]);
  Shape shape = x.shape();
  Strides strides = x.strides();
  shape[dim] = last > first ? (last - first - 1) / step + 1 : 0;
  strides[dim] *= shape[dim] > 1 ? step : 1;
  // An empty slice stays inside the storage.
  return view(x, shape, strides, x.impl().offset + (shape[dim] > 0 ? first * x.strides()[dim] : 0));
}

Tensor select(const Tensor& x, int64_t axis, int64_t i) {
  const int dim = normalize_axis("select", axis, x.rank());
  const int64_t extent = x.shape()[dim];
  WEFT_CHECK(IndexError, i >= -extent && i < extent, "select: index ", i, " is out of range for axis ", axis,
             " of shape ", x.shape());
  Shape shape = x.shape();
  Strides strides = x.strides();
  shape.erase(dim);
  strides.erase(dim);
  return view(x, shape, strides, x.impl().offset + (i < 0 ? i + extent : i) * x.strides()[dim]);
}

Tensor slice_backward(const Tensor& dy, const Shape& shape, int64_t axis, int64_t start, int64_t stop, int64_t step) {
  const bool channels_last = !dy.is_contiguous() && dy.is_contiguous(Layout::channels_last);
  const Strides strides = strides_of(shape, channels_last ? Layout::channels_last : Layout::row_major);
  Tensor dx = empty_strided(shape, strides, dy.dtype(), dy.device());
  fill(dx, 0);
  copy(slice(dx, axis, start, stop, step), dy);
  return dx;
}

}  // namespace weft::ops
