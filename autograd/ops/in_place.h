// Elementwise functions that replace the first operand's values: relu_(x), sub_(x, y), … one for every line of
// WEFT_UNARY_OPS and WEFT_BINARY_OPS in tensor/pointwise.h, beside the members of Tensor. They return their first
// operand. Never recorded: AutogradError on a tracked tensor while recording; they advance the version of its storage,
// so that a backward pass which needs the old values is refused. Any layout; ShapeError where x overlaps itself.
#pragma once

#include "weft/tensor/pointwise.h"
#include "weft/tensor/tensor.h"

namespace weft {

#define WEFT_DECLARE(Functor, name, ...) Tensor name##_(const Tensor& x);
WEFT_UNARY_OPS(WEFT_DECLARE)
#undef WEFT_DECLARE

/// y is broadcast to x's shape and cast to x's dtype. DtypeError where an integer x would lose a fraction.
#define WEFT_DECLARE(Functor, name, ...) Tensor name##_(const Tensor& x, const Tensor& y);
WEFT_BINARY_OPS(WEFT_DECLARE)
#undef WEFT_DECLARE

/// With a number; DtypeError where it does not fit x's dtype.
Tensor add_(const Tensor& x, double number);
Tensor sub_(const Tensor& x, double number);
Tensor mul_(const Tensor& x, double number);
/// Floating dtypes, as all that follow.
Tensor div_(const Tensor& x, double number);
Tensor pow_(const Tensor& x, double exponent);
/// Moved into [low, high]; NaN stays.
Tensor clamp_(const Tensor& x, double low, double high);
Tensor leaky_relu_(const Tensor& x, double slope = 0.01);
Tensor elu_(const Tensor& x, double alpha = 1);

namespace autograd {
/// The tape holds values by reference: an operation it does not see must not change, or silently use, what it tracks.
/// AutogradError while recording if x, the `role` of operation `name`, is tracked.
void check_untracked(const char* name, const Tensor& x, const char* role);
}  // namespace autograd

}  // namespace weft
