// Elementwise operations of one operand, and their first and second gradients: one kernel for the whole list in
// tensor/pointwise.h.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/pointwise.h"

namespace weft {
class Tensor;

/// All tensors are dense in one order of `numel` > 0 elements of `dtype`; out may be one of the inputs.
struct UnaryArgs {
  UnaryOp op;
  int order;  ///< 0: out = f(s);  1: out = dy df(s);  2: out = g dy d2f(s)
  DType dtype;
  double p, q;  ///< parameters of the functor
  int64_t numel;
  const void* s;   ///< order 0: x; else what the tape keeps, x or y (Needs)
  const void* dy;  ///< null for order 0
  const void* g;   ///< null for orders 0 and 1
  void* out;
};
extern Kernel<UnaryArgs> unary_kernel;

namespace ops {

/// f(x). Keeps the strides of a dense x; other x are made dense first. DtypeError if the operation does not take x's
/// dtype.
Tensor unary(UnaryOp op, const Tensor& x, double p = 0, double q = 0);
/// x = f(x) in any layout. Advances x's version. DtypeError as unary(); ShapeError where x overlaps itself. `name` is
/// what errors speak of.
void unary_(const char* name, UnaryOp op, const Tensor& x, double p = 0, double q = 0);
/// dy * df(s), in the strides of s; `s` is x or y by needs_of(op), anything of that shape where it is Needs::nothing.
Tensor unary_gradient(UnaryOp op, const Tensor& dy, const Tensor& s, double p = 0, double q = 0);
/// g * dy * d2f(s): how unary_gradient changes with s.
Tensor unary_curvature(UnaryOp op, const Tensor& g, const Tensor& dy, const Tensor& s, double p = 0, double q = 0);

Needs needs_of(UnaryOp op);
/// The constant derivative of an operation with Needs::nothing.
double slope_of(UnaryOp op, double p, double q);
/// DtypeError unless the operation takes x's dtype.
void check_domain(UnaryOp op, const Tensor& x);
const char* name_of(UnaryOp op);

#define WEFT_DECLARE(Functor, name, ...) Tensor name(const Tensor& x);
WEFT_UNARY_OPS(WEFT_DECLARE)
#undef WEFT_DECLARE

}  // namespace ops
}  // namespace weft
