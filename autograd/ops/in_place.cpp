// x = f(x) and x = f(x, y) in x's memory; nothing is recorded
#include "weft/autograd/ops/in_place.h"

#include "weft/autograd/record_scope.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/unary.h"

namespace weft {

void autograd::check_untracked(const char* name, const Tensor& x, const char* role) {
  WEFT_CHECK(AutogradError, !is_recording() || !x.requires_grad(), name, ": ", role, " (", x.shape(), ", ", x.device(),
             ") is tracked and in-place operations are not recorded; use a copy, .detach(), or leave Record");
}

namespace {

Tensor in_place(const char* name, UnaryOp op, const Tensor& x, double p = 0, double q = 0) {
  autograd::check_untracked(name, x, "the tensor");
  ops::unary_(name, op, x, p, q);
  return x;
}

Tensor in_place(BinaryOp op, const Tensor& x, const Tensor& y) {
  autograd::check_untracked(ops::name_in_place(op), x, "the tensor");
  autograd::check_untracked(ops::name_in_place(op), y, "the other operand");
  ops::binary_(op, x, y);
  return x;
}

// `parameter` is what the operation makes of the number.
Tensor with_number(const char* name, UnaryOp op, const Tensor& x, double number, double parameter) {
  WEFT_CHECK(DtypeError, ops::holds(x.dtype(), number), name, ": ", number, " does not fit ", x.dtype(),
             "; convert with .to(dtype)");
  return in_place(name, op, x, parameter);
}

}  // namespace

#define WEFT_DEFINE(Functor, name, ...) \
  Tensor name##_(const Tensor& x) { return in_place(#name "_", UnaryOp::name, x); }
WEFT_UNARY_OPS(WEFT_DEFINE)
#undef WEFT_DEFINE

#define WEFT_DEFINE(Functor, name, ...) \
  Tensor name##_(const Tensor& x, const Tensor& y) { return in_place(BinaryOp::name, x, y); }
WEFT_BINARY_OPS(WEFT_DEFINE)
#undef WEFT_DEFINE

Tensor add_(const Tensor& x, double number) { return with_number("add_", UnaryOp::shift, x, number, number); }
Tensor sub_(const Tensor& x, double number) { return with_number("sub_", UnaryOp::shift, x, number, -number); }
Tensor mul_(const Tensor& x, double number) { return with_number("mul_", UnaryOp::scale, x, number, number); }
Tensor div_(const Tensor& x, double number) { return in_place("div_", UnaryOp::divide_by, x, number); }
Tensor pow_(const Tensor& x, double exponent) { return in_place("pow_", UnaryOp::pow_scalar, x, exponent); }

Tensor clamp_(const Tensor& x, double low, double high) {
  WEFT_CHECK(Error, low <= high, "clamp_: bounds ", low, " and ", high, "; give the lower one first");
  return in_place("clamp_", UnaryOp::clamp, x, low, high);
}

Tensor leaky_relu_(const Tensor& x, double slope) { return in_place("leaky_relu_", UnaryOp::leaky_relu, x, slope); }
Tensor elu_(const Tensor& x, double alpha) { return in_place("elu_", UnaryOp::elu, x, alpha); }

}  // namespace weft
