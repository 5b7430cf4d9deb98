// l_i = -w_i x_i,label;   dx_ic = -dl_i w_i [c = label_i]
#include "weft/autograd/ops/nll_loss.h"

#include "weft/autograd/losses.h"
#include "weft/autograd/ops/binary.h"

namespace weft {

Tensor nll_loss(const Tensor& x, const Tensor& labels, const NllLossOptions& options) {
  const autograd::ClassLabels classes =
      autograd::class_labels("nll_loss", x, labels, options.weights, options.axis, options.ignore_label);
  const Tensor losses = -(classes.weight * autograd::at_labels(autograd::widened("nll_loss", x), classes));
  return autograd::reduced(losses, options.reduction, classes.weight);
}

}  // namespace weft
