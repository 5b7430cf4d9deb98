// l_i = -w_i (1 - p)^gamma log p,   p = softmax(x_i)_label
#include "weft/autograd/ops/focal_loss.h"

#include "weft/autograd/losses.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/log_softmax.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/ops/where.h"

namespace weft {

Tensor focal_loss(const Tensor& logits, const Tensor& labels, const FocalLossOptions& options) {
  using namespace autograd;
  WEFT_CHECK(Error, options.gamma >= 0, "focal_loss: gamma ", options.gamma, " must not be negative");
  const ClassLabels classes =
      class_labels("focal_loss", logits, labels, options.weights, options.axis, options.ignore_label);
  const Tensor x = without_ignored(widened("focal_loss", logits), classes);
  // Ignored positions get some logarithm but 0, at which a power below 1 has no slope.
  const Tensor log_p = where(classes.counts, at_labels(log_softmax(x, options.axis), classes), -1.0);
  Tensor losses = -(classes.weight * log_p);
  if (options.gamma != 0) losses = losses * pow(1.0 - exp(log_p), options.gamma);
  return reduced(losses, options.reduction, classes.weight);
}

}  // namespace weft
