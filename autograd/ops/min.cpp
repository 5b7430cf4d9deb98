// min(x) = r(max(r(x))) with r(x) = -x, or -1 - x, 255 - x for integers, where -x may not exist
#include "weft/autograd/ops/min.h"

#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/reduced.h"

namespace weft {

namespace {

Tensor reversed(const Tensor& x) {
  if (is_floating(x.dtype())) return neg(x);
  return autograd::unary(UnaryOp::subtract_from, x, x.dtype() == DType::u8 ? 255 : -1);
}

void check_ordered(const char* operation, const Tensor& x) {
  WEFT_CHECK(DtypeError, x.dtype() != DType::boolean, operation, ": bool is not ordered here; convert with .to(dtype)");
}

}  // namespace

Tensor min(const Tensor& x, const ReduceOptions& options) {
  check_ordered("min", x);
  autograd::some_reduced("min", x.shape(), options.axes);
  return reversed(max(reversed(x), options));
}

Tensor argmin(const Tensor& x, int64_t axis, bool keep) {
  check_ordered("argmin", x);
  autograd::some_reduced("argmin", x.shape(), {axis});
  return argmax(reversed(x.detach()), axis, keep);
}

}  // namespace weft
