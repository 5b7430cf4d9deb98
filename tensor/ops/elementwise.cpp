#include "weft/tensor/ops/elementwise.h"

#include "weft/tensor/ops/copy.h"

namespace weft::ops {

namespace {

bool is_one_dense_run(const Collapsed& c, int operands) {
  if (c.numel == 1) return true;
  if (c.rank != 1) return false;
  for (int k = 0; k < operands; ++k)
    if (c.stride[k][0] != 1) return false;
  return true;
}

// One past the last element of x, counted like its offset.
int64_t end_of(const Tensor& x) {
  int64_t last = x.impl().offset;
  for (int i = 0; i < x.rank(); ++i) last += (x.shape()[i] - 1) * x.strides()[i];
  return last + 1;
}

}  // namespace

Strides result_strides(const Shape& shape, std::initializer_list<const Tensor*> operands) {
  for (const Tensor* x : operands)
    if (x->shape() == shape && is_permuted_dense(shape, x->strides())) return x->strides();
  return strides_of(shape);
}

Geometry::Geometry(const Shape& shape, std::span<const Strides> strides)
    : collapsed_(collapse(shape, strides)), dense_(is_one_dense_run(collapsed_, static_cast<int>(strides.size()))) {}

bool same_dense(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.strides() == b.strides() && is_permuted_dense(a.shape(), a.strides());
}

Tensor apart_from(const Tensor& y, const Tensor& x) {
  if (&x.storage() != &y.storage() || x.numel() == 0 || y.numel() == 0) return x;
  const int64_t x_size = size_of(x.dtype()), y_size = size_of(y.dtype());
  const bool apart = end_of(x) * x_size <= y.impl().offset * y_size || end_of(y) * y_size <= x.impl().offset * x_size;
  const bool same = x.dtype() == y.dtype() && x.impl().offset == y.impl().offset && x.shape() == y.shape() &&
                    x.strides() == y.strides();
  return apart || same ? x : clone(x);
}

}  // namespace weft::ops
