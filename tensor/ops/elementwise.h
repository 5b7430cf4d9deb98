// What elementwise operations share: the strides of a result, and the geometry that their kernels receive.
#pragma once

#include <initializer_list>
#include <span>

#include "weft/tensor/ops/geometry.h"

namespace weft::ops {

/// Strides for a result of `shape`: those of the first operand that has this shape and is dense, else row-major.
Strides result_strides(const Shape& shape, std::initializer_list<const Tensor*> operands);

/// The geometry of one kernel call. Passed on as a pointer, null where all operands are dense in one order.
class Geometry {
 public:
  /// strides[k] belongs to operand k, broadcast to `shape`.
  Geometry(const Shape& shape, std::span<const Strides> strides);
  const Collapsed* pointer() const { return dense_ ? nullptr : &collapsed_; }

 private:
  Collapsed collapsed_;
  bool dense_;
};

/// True if all extents and all strides are equal and the elements are gap-free: no geometry is needed.
bool same_dense(const Tensor& a, const Tensor& b);
/// A tensor that in-place work on y may read: x, or a copy where x shares y's memory but is not the same view.
Tensor apart_from(const Tensor& y, const Tensor& x);

}  // namespace weft::ops
