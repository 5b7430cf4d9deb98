// l = c (z - c / 2) / beta,   c = z clamped to [-beta, beta]; |z| for beta = 0
#include "weft/autograd/ops/smooth_l1.h"

#include "weft/autograd/losses.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/unary.h"

namespace weft {

Tensor smooth_l1(const Tensor& x, const Tensor& target, const SmoothL1Options& options) {
  WEFT_CHECK(ShapeError, x.shape() == target.shape(), "smooth_l1: a target of shape ", target.shape(),
             " for an input of shape ", x.shape(), "; they must be equal");
  WEFT_CHECK(Error, options.beta >= 0, "smooth_l1: beta ", options.beta, " must not be negative");
  const Tensor z = autograd::widened("smooth_l1", x) - autograd::widened("smooth_l1", target);
  if (options.beta == 0) return autograd::reduced(abs(z), options.reduction);
  const Tensor c = clamp(z, -options.beta, options.beta);
  return autograd::reduced(c * (z - 0.5 * c) / options.beta, options.reduction);
}

}  // namespace weft
