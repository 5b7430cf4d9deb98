#include "weft/nn/loss.h"

#include "weft/autograd/losses.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/binary_cross_entropy.h"
#include "weft/autograd/ops/cross_entropy.h"
#include "weft/autograd/ops/kl_divergence.h"
#include "weft/autograd/ops/nll_loss.h"
#include "weft/autograd/ops/smooth_l1.h"
#include "weft/autograd/ops/unary.h"
#include "weft/nn/label_weight.h"
#include "weft/tensor/operators.h"

namespace weft::nn {

Tensor detail::on(const Tensor& weights, Device device) { return weights.defined() ? weights.to(device) : Tensor(); }

Tensor detail::label_weight(const char* name, const Tensor& x, const Tensor& labels, const Tensor& weights,
                            int64_t ignore_label) {
  const autograd::NoGrad pause;
  return autograd::class_labels(name, x.detach(), labels, weights, 1, ignore_label).weight.sum();
}

SoftmaxCrossEntropyLoss::SoftmaxCrossEntropyLoss(CrossEntropyLossOptions options) : options_(std::move(options)) {
  WEFT_CHECK(Error, options_.label_smoothing >= 0 && options_.label_smoothing < 1,
             "SoftmaxCrossEntropyLoss: label_smoothing is ", options_.label_smoothing, "; it lies in [0, 1)");
}

LossParts SoftmaxCrossEntropyLoss::parts(const Tensor& logits, const Tensor& labels) const {
  CrossEntropySum halves = cross_entropy_sum(logits, labels,
                                             {.ignore_label = options_.ignore_label,
                                              .weights = detail::on(options_.weights, logits.device()),
                                              .label_smoothing = options_.label_smoothing});
  return {std::move(halves.sum), std::move(halves.weight)};
}

LossParts MixSoftmaxCrossEntropyLoss::parts(const Tensor& main, const Tensor& aux, const Tensor& labels) const {
  const LossParts first = loss_.parts(main, labels), second = loss_.parts(aux, labels);
  return {first.sum + second.sum * aux_weight_, first.weight};
}

namespace {

// A sum over as many things that weigh 1 each.
LossParts of_equals(Tensor sum, int64_t count) {
  Tensor weight = full({}, static_cast<double>(count), {.dtype = sum.dtype(), .device = sum.device()});
  return {std::move(sum), std::move(weight)};
}

// The difference, in the dtype that sums are taken in.
Tensor difference(const char* name, const Tensor& prediction, const Tensor& target) {
  WEFT_CHECK(ShapeError, prediction.shape() == target.shape(), name, ": prediction ", prediction.shape(), ", target ",
             target.shape());
  return autograd::widened(name, prediction) - autograd::widened(name, target);
}

}  // namespace

LossParts NLLLoss::parts(const Tensor& log_probabilities, const Tensor& labels) const {
  const Tensor weights = detail::on(options_.weights, log_probabilities.device());
  Tensor sum = nll_loss(log_probabilities, labels,
                        {.ignore_label = options_.ignore_label, .weights = weights, .reduction = LossReduction::sum});
  return {std::move(sum), detail::label_weight("NLLLoss", log_probabilities, labels, weights, options_.ignore_label)};
}

LossParts BCEWithLogitsLoss::parts(const Tensor& logits, const Tensor& target) const {
  return of_equals(binary_cross_entropy(logits, target,
                                        {.positive_weights = detail::on(options_.positive_weights, logits.device()),
                                         .reduction = LossReduction::sum}),
                   logits.numel());
}

LossParts KLDivLoss::parts(const Tensor& log_probabilities, const Tensor& target) const {
  WEFT_CHECK(ShapeError, target.rank() > 0, "KLDivLoss: a target of rank 0 has no samples");
  return of_equals(kl_divergence(log_probabilities, target, {.reduction = LossReduction::sum}), target.size(0));
}

LossParts L1Loss::parts(const Tensor& prediction, const Tensor& target) const {
  return of_equals(abs(difference("L1Loss", prediction, target)).sum(), prediction.numel());
}

SmoothL1Loss::SmoothL1Loss(double beta) : beta_(beta) {
  WEFT_CHECK(Error, beta > 0, "SmoothL1Loss: beta is ", beta, "; it must be positive");
}

LossParts SmoothL1Loss::parts(const Tensor& prediction, const Tensor& target) const {
  return of_equals(smooth_l1(prediction, target, {.beta = beta_, .reduction = LossReduction::sum}), prediction.numel());
}

LossParts MSELoss::parts(const Tensor& prediction, const Tensor& target) const {
  return of_equals(square(difference("MSELoss", prediction, target)).sum(), prediction.numel());
}

}  // namespace weft::nn
