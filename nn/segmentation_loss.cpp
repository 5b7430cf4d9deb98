#include "weft/nn/segmentation_loss.h"

#include "weft/autograd/ops/cross_entropy.h"
#include "weft/autograd/ops/dice_loss.h"
#include "weft/autograd/ops/focal_loss.h"
#include "weft/autograd/ops/ohem.h"
#include "weft/nn/label_weight.h"

namespace weft::nn {

FocalLoss::FocalLoss(FocalLossOptions options) : options_(std::move(options)) {
  WEFT_CHECK(Error, options_.gamma == 0 || options_.gamma >= 1, "FocalLoss: gamma is ", options_.gamma,
             "; it must be 0 or at least 1");
}

LossParts FocalLoss::parts(const Tensor& logits, const Tensor& labels) const {
  const Tensor weights = detail::on(options_.weights, logits.device());
  Tensor sum = focal_loss(logits, labels,
                          {.gamma = options_.gamma,
                           .ignore_label = options_.ignore_label,
                           .weights = weights,
                           .reduction = LossReduction::sum});
  return {std::move(sum), detail::label_weight("FocalLoss", logits, labels, weights, options_.ignore_label)};
}

DiceLoss::DiceLoss(DiceLossOptions options) : options_(options) {
  WEFT_CHECK(Error, options_.smooth > 0, "DiceLoss: smooth is ", options_.smooth, "; it must be positive");
}

LossParts DiceLoss::parts(const Tensor& logits, const Tensor& labels) const {
  const Tensor sum =
      dice_loss(logits, labels,
                {.smooth = options_.smooth, .ignore_label = options_.ignore_label, .reduction = LossReduction::sum});
  return {sum, full({}, static_cast<double>(logits.size(0)), {.dtype = sum.dtype(), .device = sum.device()})};
}

OHEMLoss::OHEMLoss(OHEMLossOptions options) : options_(std::move(options)) {
  WEFT_CHECK(Error, options_.threshold > 0 && options_.threshold <= 1, "OHEMLoss: threshold is ", options_.threshold,
             "; it lies in (0, 1]");
  WEFT_CHECK(Error, options_.min_keep >= 0, "OHEMLoss: min_keep is ", options_.min_keep);
}

LossParts OHEMLoss::parts(const Tensor& logits, const Tensor& labels) const {
  const Tensor wide = labels.dtype() == DType::u8 ? labels.to(DType::i64) : labels;  // which holds any ignore label
  const Tensor hard = ohem_labels(
      logits, wide,
      {.threshold = options_.threshold, .min_keep = options_.min_keep, .ignore_label = options_.ignore_label});
  CrossEntropySum halves = cross_entropy_sum(
      logits, hard, {.ignore_label = options_.ignore_label, .weights = detail::on(options_.weights, logits.device())});
  return {std::move(halves.sum), std::move(halves.weight)};
}

}  // namespace weft::nn
