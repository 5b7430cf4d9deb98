#include "weft/nn/segmentation_loss.h"

#include <algorithm>
#include <cmath>

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/log_softmax.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/ops/where.h"
#include "weft/nn/pick_class.h"
#include "weft/tensor/operators.h"

namespace weft::nn {

namespace {

Tensor log_probabilities(const Tensor& logits) { return log_softmax(logits.to(compute_dtype(logits.dtype())), 1); }

}  // namespace

FocalLoss::FocalLoss(FocalLossOptions options) : options_(std::move(options)) {
  WEFT_CHECK(Error, options_.gamma == 0 || options_.gamma >= 1, "FocalLoss: gamma is ", options_.gamma,
             "; it must be 0 or at least 1");
}

LossParts FocalLoss::parts(const Tensor& logits, const Tensor& labels) const {
  const detail::Picked picked =
      detail::pick_class("FocalLoss", log_probabilities(logits), labels, options_.ignore_label, options_.weights);
  Tensor loss = picked.value * picked.weight;  // [N, d…]
  if (options_.gamma > 0) loss = loss * pow(relu(1 - exp(picked.value)), options_.gamma);
  return {loss.sum() * -1.0, picked.weight.sum()};
}

DiceLoss::DiceLoss(DiceLossOptions options) : options_(options) {
  WEFT_CHECK(Error, options_.smooth > 0, "DiceLoss: smooth is ", options_.smooth, "; it must be positive");
}

LossParts DiceLoss::parts(const Tensor& logits, const Tensor& labels) const {
  const Tensor log_p = log_probabilities(logits);  // [N, C, d…]
  const detail::Picked picked = detail::pick_class("DiceLoss", log_p, labels, options_.ignore_label);
  const Tensor counted = greater(picked.weight, 0.0).unsqueeze(1);  // [N, 1, d…]
  const Tensor p = where(counted, exp(log_p), 0);                   // [N, C, d…]
  Shape flat{logits.size(0), logits.size(1), 1};
  for (int i = 2; i < logits.rank(); ++i) flat[2] *= logits.size(i);
  const auto per_image = [&flat](const Tensor& x) { return x.reshape(flat).sum({.axes = {2}}); };
  const Tensor hit = per_image(where(picked.classes, p, 0));                  // [N, C]
  const Tensor all = per_image(p) + per_image(picked.classes.to(p.dtype()));  // [N, C]
  const Tensor dice = (hit * 2 + options_.smooth) / (all + options_.smooth);  // [N, C]
  // A NaN that stands for a label out of range is in value alone.
  const Tensor sum = (1 - dice.mean({.axes = {1}})).sum() + picked.value.detach().sum() * 0;
  return {sum, detail::constant_like(sum, logits.size(0))};
}

OHEMLoss::OHEMLoss(OHEMLossOptions options) : options_(std::move(options)) {
  WEFT_CHECK(Error, options_.threshold > 0 && options_.threshold <= 1, "OHEMLoss: threshold is ", options_.threshold,
             "; it lies in (0, 1]");
  WEFT_CHECK(Error, options_.min_keep >= 0, "OHEMLoss: min_keep is ", options_.min_keep);
}

LossParts OHEMLoss::parts(const Tensor& logits, const Tensor& labels) const {
  const detail::Picked picked =
      detail::pick_class("OHEMLoss", log_probabilities(logits), labels, options_.ignore_label, options_.weights);
  const int64_t images = labels.size(0), pixels = images ? labels.numel() / images : 0;
  const std::vector<double> log_p = picked.value.detach().to_vector<double>();
  const std::vector<int64_t> label = labels.to_vector<int64_t>();
  std::vector<uint8_t> kept(log_p.size());
  for (int64_t n = 0; n < images; ++n) {
    const auto begin = static_cast<size_t>(n * pixels), end = begin + static_cast<size_t>(pixels);
    std::vector<double> counted;
    for (size_t i = begin; i < end; ++i)
      if (label[i] != options_.ignore_label) counted.push_back(log_p[i]);
    double limit = std::log(options_.threshold);
    if (const auto k = std::min(options_.min_keep, static_cast<int64_t>(counted.size())); k > 0) {
      const auto last = counted.begin() + (k - 1);
      std::nth_element(counted.begin(), last, counted.end());
      limit = std::max(limit, *last);
    }
    for (size_t i = begin; i < end; ++i)  // what is NaN is kept, and seen in the loss
      kept[i] = label[i] != options_.ignore_label && !(log_p[i] > limit);
  }
  const Tensor mask = tensor(std::vector<bool>(kept.begin(), kept.end()), labels.shape(), logits.device());
  const Tensor weight = where(mask, picked.weight, 0);
  return {(picked.value * weight).sum() * -1.0, weight.sum()};
}

}  // namespace weft::nn
