#include "weft/tensor/ops/geometry.h"

#include <algorithm>

#include "weft/tensor/ops/copy.h"

namespace weft::ops {

void check_floating(const char* operation, const Tensor& x) {
  WEFT_CHECK(DtypeError, is_floating(x.dtype()), operation, ": needs a floating dtype, got ", x.dtype(),
             "; convert with .to(DType::f32)");
}

void check_same_device(const char* operation, const Tensor& a, const Tensor& b) {
  WEFT_CHECK(DeviceError, a.device() == b.device(), operation, ": operands on ", a.device(), " and ", b.device(),
             "; move one with .to(", a.device(), ")");
}

void check_same(const char* operation, const Tensor& a, const Tensor& b) {
  check_same_device(operation, a, b);
  WEFT_CHECK(ShapeError, a.shape() == b.shape(), operation, ": shapes ", a.shape(), " and ", b.shape(), " differ");
  WEFT_CHECK(DtypeError, a.dtype() == b.dtype(), operation, ": dtypes ", a.dtype(), " and ", b.dtype(),
             " differ; convert one with .to(", a.dtype(), ")");
}

void check_rank(const char* operation, const Tensor& x, int rank, const char* expected_shape) {
  WEFT_CHECK(ShapeError, x.rank() == rank, operation, ": expected ", expected_shape, ", got shape ", x.shape());
}

Strides dense_strides_in_order_of(const Tensor& x) {
  const int rank = x.rank();
  int order[max_rank];
  for (int i = 0; i < rank; ++i) order[i] = i;
  // Slowest first; dimensions of extent 1 and broadcast ones keep their logical place.
  std::stable_sort(order, order + rank, [&](int a, int b) { return x.strides()[a] > x.strides()[b]; });
  for (int i = 0; i < rank; ++i)
    if (x.strides()[i] == 0) return strides_of(x.shape());
  Strides strides = Dims::filled(rank, 1);
  int64_t stride = 1;
  for (int i = rank - 1; i >= 0; --i) {
    strides[order[i]] = stride;
    stride *= std::max<int64_t>(x.shape()[order[i]], 1);
  }
  return strides;
}

Tensor dense_like(const Tensor& x) { return is_permuted_dense(x.shape(), x.strides()) ? x : ops::contiguous(x); }

Tensor contiguous(const Tensor& x, Layout layout) {
  if (x.is_contiguous(layout)) return x;
  const Tensor y = empty_strided(x.shape(), strides_of(x.shape(), layout), x.dtype(), x.device());
  copy(y, x);
  return y;
}

Tensor with_strides_of(const Tensor& x, const Tensor& reference) {
  bool same = true;
  for (int i = 0; i < x.rank(); ++i) same &= x.shape()[i] == 1 || x.strides()[i] == reference.strides()[i];
  if (same) return x;
  const Tensor y = empty_strided(x.shape(), reference.strides(), x.dtype(), x.device());
  copy(y, x);
  return y;
}

AxisSplit split_at(const Tensor& x, int axis) {
  AxisSplit split;
  split.n = x.shape()[axis];
  const int64_t stride = x.strides()[axis];
  // In a gap-free block the dimensions faster than the axis have smaller strides; an axis of extent 1 has no place of
  // its own, so everything may count as outer.
  for (int i = 0; i < x.rank(); ++i) {
    if (i == axis || x.shape()[i] == 1) continue;
    (split.n != 1 && x.strides()[i] < stride ? split.inner : split.outer) *= x.shape()[i];
  }
  return split;
}

Collapsed collapse(const Shape& shape, std::span<const Strides> strides) {
  Collapsed c;
  const int operands = static_cast<int>(strides.size());
  int order[max_rank];
  int rank = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    c.numel *= shape[i];
    if (shape[i] != 1) order[rank++] = i;
  }
  // Slowest first by the strides of operand 0, then of the others: an insertion sort, since ranks are small.
  const auto slower = [&](int a, int b) {
    for (int k = 0; k < operands; ++k) {
      const Strides& s = strides[static_cast<size_t>(k)];
      if (s[a] != s[b]) return s[a] > s[b];
    }
    return a < b;
  };
  for (int i = 1; i < rank; ++i)
    for (int j = i; j > 0 && slower(order[j], order[j - 1]); --j) std::swap(order[j], order[j - 1]);
  for (int i = 0; i < rank; ++i) {
    const int dim = order[i];
    bool merges = c.rank > 0;
    for (int k = 0; merges && k < operands; ++k)
      merges = c.stride[k][c.rank - 1] == strides[static_cast<size_t>(k)][dim] * shape[dim];
    if (!merges) c.extent[c.rank++] = 1;
    c.extent[c.rank - 1] *= shape[dim];
    for (int k = 0; k < operands; ++k) c.stride[k][c.rank - 1] = strides[static_cast<size_t>(k)][dim];
  }
  if (c.rank == 0) {
    c.rank = 1;
    c.extent[0] = 1;
  }
  return c;
}

Strides broadcast_strides(const Tensor& x, const Shape& shape) {
  Strides strides = Dims::filled(shape.rank(), 0);
  const int lead = shape.rank() - x.rank();
  for (int i = 0; i < x.rank(); ++i)
    if (x.shape()[i] != 1) strides[lead + i] = x.strides()[i];
  return strides;
}

}  // namespace weft::ops
