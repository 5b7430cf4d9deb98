// Recorded elementwise functions of two operands with broadcasting, and comparisons. The operators call these.
#pragma once

#include "weft/tensor/operators.h"
#include "weft/tensor/pointwise.h"
#include "weft/tensor/tensor.h"

namespace weft {

/// add, sub, mul, div, maximum, minimum, pow, remainder. Operands are promoted to one dtype and broadcast; the result
/// has the strides of the first operand that has the full shape and is dense. Where maximum and minimum are tied, both
/// sides get half of the gradient. pow(0, b) has gradient 0 by the exponent for b >= 0, and pow(a, 0) by the base for
/// every a. remainder(a, b) = a - b floor(a / b) has b's sign. Of integers: ops::binary. ShapeError, DtypeError,
/// DeviceError.
#define WEFT_DECLARE(Functor, name, ...) Tensor name(const Tensor& a, const Tensor& b);
WEFT_BINARY_OPS(WEFT_DECLARE)
#undef WEFT_DECLARE

/// equal, not_equal, less, less_equal, greater, greater_equal: bool, never recorded. Nothing equals NaN.
/// logical_and, logical_or, logical_xor likewise; everything but 0 is true, NaN too.
#define WEFT_DECLARE(Functor, name, ...)         \
  Tensor name(const Tensor& a, const Tensor& b); \
  Tensor name(const Tensor& a, double b);
WEFT_COMPARE_OPS(WEFT_DECLARE)
#undef WEFT_DECLARE

/// isnan, isinf, isfinite, logical_not: bool, never recorded; any dtype.
#define WEFT_DECLARE(Functor, name, ...) Tensor name(const Tensor& x);
WEFT_TEST_OPS(WEFT_DECLARE)
#undef WEFT_DECLARE

}  // namespace weft
