// Operators of tensors and numbers (autograd/operators.cpp defines them). Arithmetic is recorded like every function
// of namespace weft; comparisons give bool tensors and are not; += and its like work in place and are not.
#pragma once

#include <type_traits>

#include "weft/tensor/tensor.h"

namespace weft {

/// A number in an expression with a tensor: `2 * x`. It takes the tensor's dtype, except that a floating number moves
/// an integer tensor to f32, and any number a bool tensor: to i64 or f32.
struct Scalar {
  double value;
  bool floating;

  template <class T>
  requires std::is_arithmetic_v<T> Scalar(T number)
      : value(static_cast<double>(number)), floating(std::is_floating_point_v<T>) {}
};

Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
/// Integers are divided in f32.
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& x);

Tensor operator+(const Tensor& x, Scalar number);
Tensor operator-(const Tensor& x, Scalar number);
Tensor operator*(const Tensor& x, Scalar number);
Tensor operator/(const Tensor& x, Scalar number);
Tensor operator+(Scalar number, const Tensor& x);
Tensor operator-(Scalar number, const Tensor& x);
Tensor operator*(Scalar number, const Tensor& x);
Tensor operator/(Scalar number, const Tensor& x);

/// Element by element, bool: equal, not_equal, less, … of autograd/ops/binary.h. Nothing equals NaN. That two handles
/// are one tensor says Tensor::same.
#define WEFT_DECLARE(op)                                \
  Tensor operator op(const Tensor& a, const Tensor& b); \
  Tensor operator op(const Tensor& x, Scalar number);   \
  Tensor operator op(Scalar number, const Tensor& x);
WEFT_DECLARE(==)
WEFT_DECLARE(!=)
WEFT_DECLARE(<)
WEFT_DECLARE(<=)
WEFT_DECLARE(>)
WEFT_DECLARE(>=)
#undef WEFT_DECLARE

/// Replace x's values, seen by all that share its storage: add_, sub_, mul_, div_ of autograd/ops/in_place.h, with
/// their errors. AutogradError on a tracked tensor while recording: there write x = x + y.
#define WEFT_DECLARE(op)                               \
  Tensor& operator op(Tensor& x, const Tensor& other); \
  Tensor& operator op(Tensor& x, Scalar number);
WEFT_DECLARE(+=)
WEFT_DECLARE(-=)
WEFT_DECLARE(*=)
WEFT_DECLARE(/=)
#undef WEFT_DECLARE

}  // namespace weft
