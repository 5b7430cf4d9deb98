// Recorded elementwise functions of one operand: one for every line of WEFT_UNARY_OPS in tensor/pointwise.h, and those
// with parameters.
#pragma once

#include "weft/tensor/pointwise.h"
#include "weft/tensor/tensor.h"

namespace weft {

#define WEFT_DECLARE(Functor, name) Tensor name(const Tensor& x);
WEFT_UNARY_OPS(WEFT_DECLARE)
#undef WEFT_DECLARE

/// x^exponent; floating dtypes.
Tensor pow(const Tensor& x, double exponent);
/// Moved into [low, high]; NaN stays. The gradient is 1 at the bounds.
Tensor clamp(const Tensor& x, double low, double high);
/// x where positive, else slope * x.
Tensor leaky_relu(const Tensor& x, double slope = 0.01);

namespace autograd {
/// Any operation of the lists, recorded.
Tensor unary(UnaryOp op, const Tensor& x, double p = 0, double q = 0);
/// dy * df(s), recorded: the gradient of unary(). `s` is x or y by ops::needs_of(op).
Tensor unary_gradient(UnaryOp op, const Tensor& dy, const Tensor& s, double p = 0, double q = 0);
}  // namespace autograd

}  // namespace weft
