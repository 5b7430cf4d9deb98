// l_n = mean over classes of 1 - (2 sum(p t) + s) / (sum(p) + sum(t) + s)
#include "weft/autograd/ops/dice_loss.h"

#include "weft/autograd/losses.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/softmax.h"

namespace weft {

Tensor dice_loss(const Tensor& logits, const Tensor& labels, const DiceLossOptions& options) {
  using namespace autograd;
  WEFT_CHECK(ShapeError, logits.rank() >= 2 && logits.shape()[1] > 0,
             "dice_loss: expected logits [N, C, d…] with classes, got shape ", logits.shape());
  WEFT_CHECK(Error, options.smooth > 0, "dice_loss: smooth ", options.smooth, " must be positive");
  const ClassLabels classes = class_labels("dice_loss", logits, labels, {}, 1, options.ignore_label);
  const Tensor weight = classes.weight.unsqueeze(1);                                             // [N, 1, d…]
  const Tensor p = softmax(without_ignored(widened("dice_loss", logits), classes), 1) * weight;  // [N, C, d…]
  const Tensor t = classes.one_hot.to(p.dtype()) * weight;                                       // [N, C, d…]
  const auto per_class = [](const Tensor& v) { return v.rank() > 2 ? sum(v.flatten(2), {.axes = {2}}) : v; };
  const Tensor overlap = per_class(p * t), all = per_class(p) + per_class(t);  // [N, C]
  const Tensor ratio = (2.0 * overlap + options.smooth) / (all + options.smooth);
  return reduced(1.0 - mean(ratio, {.axes = {1}}), options.reduction);
}

}  // namespace weft
