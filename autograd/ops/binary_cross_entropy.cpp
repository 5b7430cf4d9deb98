// l = w ((1 - t) x + (1 + (q - 1) t) softplus(-x)), which is softplus(x) - t x for q = 1
#include "weft/autograd/ops/binary_cross_entropy.h"

#include "weft/autograd/losses.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/unary.h"

namespace weft {

Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets, const BinaryCrossEntropyOptions& options) {
  constexpr const char* name = "binary_cross_entropy";
  WEFT_CHECK(ShapeError, logits.shape() == targets.shape(), name, ": targets of shape ", targets.shape(),
             " for logits of shape ", logits.shape(), "; they must be equal");
  const Tensor x = autograd::widened(name, logits), t = targets.to(x.dtype());
  const auto as_wide = [&](const Tensor& v) { return v.to(x.dtype()); };
  Tensor losses = options.positive_weights.defined()
                      ? (1.0 - t) * x + (1.0 + (as_wide(options.positive_weights) - 1.0) * t) * softplus(-x)
                      : softplus(x) - t * x;
  if (options.weights.defined()) losses = losses * as_wide(options.weights);
  WEFT_CHECK(ShapeError, losses.shape() == x.shape(), name, ": weights must broadcast to the logits' shape ", x.shape(),
             ", not to ", losses.shape());
  return autograd::reduced(losses, options.reduction);
}

}  // namespace weft
