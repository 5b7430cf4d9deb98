// y = f(x);   dx = dy f'(x)
// for the gradient g of dx:   ddy = g f'(x),   dx = g dy f''(x); with f' taken from y, the last is the gradient of y
#include "weft/autograd/ops/unary.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/unary.h"

namespace weft {

namespace {

// g dy d2f(s) is linear in g and in dy, so those two gradients are the same operation again.
Tensor unary_curvature(UnaryOp op, const Tensor& g, const Tensor& dy, const Tensor& s, double p, double q) {
  using namespace autograd;
  Tensor ds = ops::unary_curvature(op, g, dy, s, p, q);
  if (!tracked(g, dy, s)) return ds;
  return record(
      ops::name_of(op), ds,
      edge(g, [=, dy = saved(dy), s = saved(s)](const Tensor& h) { return unary_curvature(op, h, dy, s, p, q); }),
      edge(dy, [=, g = saved(g), s = saved(s)](const Tensor& h) { return unary_curvature(op, g, h, s, p, q); }),
      edge(s, [op](const Tensor&) -> Tensor { fail<AutogradError>(ops::name_of(op), " has no third derivative"); }));
}

// Whether 16 bits hold too few digits of x, or too little range of y.
bool wants_full(UnaryOp op) {
  switch (op) {
    case UnaryOp::exp:
    case UnaryOp::expm1:
    case UnaryOp::log:
    case UnaryOp::log1p:
    case UnaryOp::pow_scalar:
    case UnaryOp::reciprocal:
    case UnaryOp::rsqrt:
    case UnaryOp::softplus:
    case UnaryOp::divide_into:
      return true;
    default:
      return false;
  }
}

}  // namespace

Tensor autograd::unary_gradient(UnaryOp op, const Tensor& dy, const Tensor& s, double p, double q) {
  Tensor dx = ops::unary_gradient(op, dy, s, p, q);
  if (!tracked(dy, s)) return dx;
  return record(
      ops::name_of(op), dx, edge(dy, [=, s = saved(s)](const Tensor& g) { return unary_gradient(op, g, s, p, q); }),
      edge(s, [=, dy = saved(dy), s = saved(s)](const Tensor& g) { return unary_curvature(op, g, dy, s, p, q); }));
}

Tensor autograd::unary(UnaryOp op, const Tensor& input, double p, double q) {
  const Tensor x = wants_full(op) ? in_full(input) : input;
  Tensor y = ops::unary(op, x, p, q);
  if (!tracked(x)) return y;
  const char* name = ops::name_of(op);
  switch (ops::needs_of(op)) {
    case Needs::input:
      return record(name, y, edge(x, [=, x = saved(x)](const Tensor& dy) { return unary_gradient(op, dy, x, p, q); }));
    case Needs::output:
      return record(name, y,
                    edge(x, [=](const Tensor& dy, const Tensor& own) { return unary_gradient(op, dy, own, p, q); }));
    case Needs::nothing:
      break;
  }
  return record(name, y, edge(x, [slope = ops::slope_of(op, p, q)](const Tensor& dy) {
                  // 0 even where dy is not finite.
                  return slope == 1 ? dy : slope == 0 ? unary(UnaryOp::zero, dy) : unary(UnaryOp::scale, dy, slope);
                }));
}

#define WEFT_DEFINE(Functor, name, ...) \
  Tensor name(const Tensor& x) { return autograd::unary(UnaryOp::name, x); }
WEFT_UNARY_OPS(WEFT_DEFINE)
#undef WEFT_DEFINE

Tensor pow(const Tensor& x, double exponent) { return autograd::unary(UnaryOp::pow_scalar, x, exponent); }

Tensor clamp(const Tensor& x, double low, double high) {
  WEFT_CHECK(Error, low <= high, "clamp: bounds ", low, " and ", high, "; give the lower one first");
  return autograd::unary(UnaryOp::clamp, x, low, high);
}

Tensor leaky_relu(const Tensor& x, double slope) { return autograd::unary(UnaryOp::leaky_relu, x, slope); }

Tensor elu(const Tensor& x, double alpha) { return autograd::unary(UnaryOp::elu, x, alpha); }

}  // namespace weft
