// Recorded elementwise functions of one operand: one for every line of WEFT_UNARY_OPS in tensor/pointwise.h, and those
// with parameters. Forms that work in place: in_place.h.
#pragma once

#include "weft/tensor/pointwise.h"
#include "weft/tensor/tensor.h"

namespace weft {

#define WEFT_DECLARE(Functor, name, ...) Tensor name(const Tensor& x);
WEFT_UNARY_OPS(WEFT_DECLARE)
#undef WEFT_DECLARE

/// round goes to the nearest whole number, halves to the even one; sign of NaN is NaN; hard_swish(x) is
/// x min(max(x + 3, 0), 6) / 6, hard_sigmoid(x) min(max(x + 3, 0), 6) / 6. The gradient of sign, floor, ceil and round
/// is 0.

/// x^exponent; floating dtypes.
Tensor pow(const Tensor& x, double exponent);
/// Moved into [low, high]; NaN stays. The gradient is 1 at the bounds.
Tensor clamp(const Tensor& x, double low, double high);
/// x where positive, else slope * x.
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
/// x where positive, else alpha * (exp(x) - 1).
Tensor elu(const Tensor& x, double alpha = 1);

namespace autograd {
/// Any operation of the lists, recorded.
Tensor unary(UnaryOp op, const Tensor& x, double p = 0, double q = 0);
/// dy * df(s), recorded: the gradient of unary(). `s` is x or y by ops::needs_of(op).
Tensor unary_gradient(UnaryOp op, const Tensor& dy, const Tensor& s, double p = 0, double q = 0);
}  // namespace autograd

}  // namespace weft
