// y = x wT + b;   outer: y = a bT. Gradients are those of the products and of broadcasting.
#include "weft/autograd/ops/linear.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/matmul.h"

namespace weft {

Tensor linear(const Tensor& rows, const Tensor& weights, const Tensor& offsets) {
  using autograd::for_product;  // parameters as they are, before they become views: those are not kept
  const Tensor x = for_product(rows), w = for_product(weights), bias = for_product(offsets);
  WEFT_CHECK(ShapeError, w.rank() == 2 && x.rank() >= 1 && x.shape().back() == w.shape()[1], "linear: input of shape ",
             x.shape(), " for weights of shape ", w.shape(), "; they must be [..., K] and [O, K]");
  Tensor y = matmul(x, w.transpose());  // [..., O]
  if (!bias.defined()) return y;
  WEFT_CHECK(ShapeError, bias.shape() == Shape{w.shape()[0]}, "linear: bias of shape ", bias.shape(),
             " for weights of shape ", w.shape(), "; it must be [", w.shape()[0], "]");
  WEFT_CHECK(DtypeError, bias.dtype() == y.dtype(), "linear: bias is ", bias.dtype(), ", the weights are ", w.dtype(),
             "; convert it with .to(", y.dtype(), ")");
  return y + bias;
}

Tensor outer(const Tensor& a, const Tensor& b) {
  WEFT_CHECK(ShapeError, a.rank() == 1 && b.rank() == 1, "outer: operands of shape ", a.shape(), " and ", b.shape(),
             " must be vectors");
  return a.unsqueeze(1) * b.unsqueeze(0);  // [M, N]
}

}  // namespace weft
