// l = t (log t - x)
#include "weft/autograd/ops/kl_divergence.h"

#include "weft/autograd/losses.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/ops/where.h"

namespace weft {

Tensor kl_divergence(const Tensor& x, const Tensor& target, const KlDivergenceOptions& options) {
  WEFT_CHECK(ShapeError, x.shape() == target.shape(), "kl_divergence: a target of shape ", target.shape(),
             " for an input of shape ", x.shape(), "; they must be equal");
  const Tensor input = autograd::widened("kl_divergence", x), t = autograd::widened("kl_divergence", target);
  if (options.log_target) return autograd::reduced(exp(t) * (t - input), options.reduction);
  const Tensor some = greater(t, 0.0);
  const Tensor losses = where(some, t * (log(where(some, t, 1.0)) - input), 0.0);
  return autograd::reduced(losses, options.reduction);
}

}  // namespace weft
