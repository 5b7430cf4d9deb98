// Arithmetic operators of tensors and numbers; recorded like every function of namespace weft (autograd/ops/binary.cpp
// defines them). Comparisons are functions: equal, less, … in autograd/ops/binary.h.
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

}  // namespace weft
