// The operators of tensor/operators.h, by the functions that have names.
#include "weft/tensor/operators.h"

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/in_place.h"
#include "weft/autograd/ops/unary.h"

namespace weft {

using autograd::unary;

namespace {

// x as the number finds it.
Tensor meeting(const Tensor& x, Scalar number) {
  if (is_floating(x.dtype())) return x;
  if (number.floating) return to(x, DType::f32);
  return x.dtype() == DType::boolean ? to(x, DType::i64) : x;
}

}  // namespace

Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
Tensor operator-(const Tensor& x) { return neg(x); }

Tensor operator+(const Tensor& x, Scalar n) { return unary(UnaryOp::shift, meeting(x, n), n.value); }
Tensor operator-(const Tensor& x, Scalar n) { return unary(UnaryOp::shift, meeting(x, n), -n.value); }
Tensor operator*(const Tensor& x, Scalar n) { return unary(UnaryOp::scale, meeting(x, n), n.value); }
Tensor operator/(const Tensor& x, Scalar n) {
  return unary(UnaryOp::divide_by, is_floating(x.dtype()) ? x : to(x, DType::f32), n.value);
}
Tensor operator+(Scalar n, const Tensor& x) { return x + n; }
Tensor operator-(Scalar n, const Tensor& x) { return unary(UnaryOp::subtract_from, meeting(x, n), n.value); }
Tensor operator*(Scalar n, const Tensor& x) { return x * n; }
Tensor operator/(Scalar n, const Tensor& x) {
  return unary(UnaryOp::divide_into, is_floating(x.dtype()) ? x : to(x, DType::f32), n.value);
}

#define WEFT_DEFINE(op, name, mirrored)                                                \
  Tensor operator op(const Tensor& a, const Tensor& b) { return name(a, b); }          \
  Tensor operator op(const Tensor& x, Scalar number) { return name(x, number.value); } \
  Tensor operator op(Scalar number, const Tensor& x) { return mirrored(x, number.value); }
WEFT_DEFINE(==, equal, equal)
WEFT_DEFINE(!=, not_equal, not_equal)
WEFT_DEFINE(<, less, greater)
WEFT_DEFINE(<=, less_equal, greater_equal)
WEFT_DEFINE(>, greater, less)
WEFT_DEFINE(>=, greater_equal, less_equal)
#undef WEFT_DEFINE

#define WEFT_DEFINE(op, name)                           \
  Tensor& operator op(Tensor& x, const Tensor& other) { \
    name(x, other);                                     \
    return x;                                           \
  }                                                     \
  Tensor& operator op(Tensor& x, Scalar number) {       \
    name(x, number.value);                              \
    return x;                                           \
  }
WEFT_DEFINE(+=, add_)
WEFT_DEFINE(-=, sub_)
WEFT_DEFINE(*=, mul_)
WEFT_DEFINE(/=, div_)
#undef WEFT_DEFINE

}  // namespace weft
