#include "weft/autograd/reduced.h"

#include "weft/autograd/ops/copy.h"

namespace weft::autograd {

Shape kept_shape(const char* operation, const Shape& shape, const std::vector<int64_t>& axes) {
  if (axes.empty()) return Shape::filled(shape.rank(), 1);
  Shape kept = shape;
  for (const int64_t axis : axes) kept[normalize_axis(operation, axis, shape.rank())] = 1;
  return kept;
}

int64_t reduced_count(const char* operation, const Shape& shape, const std::vector<int64_t>& axes) {
  if (axes.empty()) return numel_of(shape, operation);
  int64_t count = 1;
  uint32_t seen = 0;
  for (const int64_t axis : axes) {
    const int i = normalize_axis(operation, axis, shape.rank());
    WEFT_CHECK(IndexError, !(seen >> i & 1u), operation, ": axis ", axis, " is named twice");
    seen |= 1u << i;
    count *= shape[i];
  }
  return count;
}

int64_t some_reduced(const char* operation, const Shape& shape, const std::vector<int64_t>& axes) {
  const int64_t count = reduced_count(operation, shape, axes);
  WEFT_CHECK(ShapeError, count > 0 || numel_of(kept_shape(operation, shape, axes), operation) == 0, operation,
             ": no elements along the reduced axes of shape ", shape);
  return count;
}

Tensor widened(const Tensor& x) { return x.dtype() == DType::f16 || x.dtype() == DType::bf16 ? to(x, DType::f32) : x; }

}  // namespace weft::autograd
