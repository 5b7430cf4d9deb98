#include "weft/nn/loss.h"

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/cross_entropy.h"
#include "weft/autograd/ops/log_softmax.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/ops/where.h"
#include "weft/nn/pick_class.h"
#include "weft/tensor/operators.h"

namespace weft::nn {

SoftmaxCrossEntropyLoss::SoftmaxCrossEntropyLoss(CrossEntropyLossOptions options) : options_(std::move(options)) {
  WEFT_CHECK(Error, options_.label_smoothing >= 0 && options_.label_smoothing < 1,
             "SoftmaxCrossEntropyLoss: label_smoothing is ", options_.label_smoothing, "; it lies in [0, 1)");
}

LossParts SoftmaxCrossEntropyLoss::parts(const Tensor& logits, const Tensor& labels) const {
  const Tensor weights = options_.weights.defined() ? options_.weights.to(logits.device()) : Tensor();
  CrossEntropySum halves =
      cross_entropy_sum(logits, labels, {.ignore_label = options_.ignore_label, .weights = weights});
  const double e = options_.label_smoothing;
  if (e == 0) return {std::move(halves.sum), std::move(halves.weight)};
  Tensor log_p = log_softmax(logits.to(compute_dtype(logits.dtype())), 1);  // [N, C, d…]
  if (weights.defined()) log_p = log_p * detail::per_class(weights, log_p);
  const Tensor counted = not_equal(labels, static_cast<double>(options_.ignore_label)).unsqueeze(1);  // [N, 1, d…]
  const Tensor spread = where(counted, log_p, 0).sum() * (-e / static_cast<double>(logits.size(1)));
  return {halves.sum * (1 - e) + spread, std::move(halves.weight)};
}

LossParts MixSoftmaxCrossEntropyLoss::parts(const Tensor& main, const Tensor& aux, const Tensor& labels) const {
  const LossParts first = loss_.parts(main, labels), second = loss_.parts(aux, labels);
  return {first.sum + second.sum * aux_weight_, first.weight};
}

namespace {

// Sums and weights of a loss per element.
LossParts over_elements(const Tensor& loss) { return {loss.sum(), detail::constant_like(loss, loss.numel())}; }

// The difference, in the dtype that sums are taken in.
Tensor difference(const char* name, const Tensor& prediction, const Tensor& target) {
  WEFT_CHECK(ShapeError, prediction.shape() == target.shape(), name, ": prediction ", prediction.shape(), ", target ",
             target.shape());
  const DType dtype = compute_dtype(prediction.dtype());
  return prediction.to(dtype) - target.to(dtype);
}

}  // namespace

LossParts NLLLoss::parts(const Tensor& log_probabilities, const Tensor& labels) const {
  const Tensor x = log_probabilities.to(compute_dtype(log_probabilities.dtype()));
  const detail::Picked picked = detail::pick_class("NLLLoss", x, labels, options_.ignore_label, options_.weights);
  return {(picked.value * picked.weight).sum() * -1.0, picked.weight.sum()};
}

LossParts BCEWithLogitsLoss::parts(const Tensor& logits, const Tensor& target) const {
  WEFT_CHECK(ShapeError, logits.shape() == target.shape(), "BCEWithLogitsLoss: logits ", logits.shape(), ", target ",
             target.shape());
  const DType dtype = compute_dtype(logits.dtype());
  const Tensor x = logits.to(dtype), t = target.to(dtype);
  Tensor slope = softplus(x * -1.0);  // log(1 + exp(-x))
  if (options_.positive_weights.defined())
    slope = slope * ((options_.positive_weights.to(x.device()).to(dtype) - 1) * t + 1);
  return over_elements((1 - t) * x + slope);
}

LossParts KLDivLoss::parts(const Tensor& log_probabilities, const Tensor& target) const {
  WEFT_CHECK(ShapeError, log_probabilities.shape() == target.shape() && target.rank() > 0, "KLDivLoss: prediction ",
             log_probabilities.shape(), ", target ", target.shape());
  const DType dtype = compute_dtype(log_probabilities.dtype());
  const Tensor x = log_probabilities.to(dtype), t = target.to(dtype);
  const Tensor positive = greater(t, 0.0);
  const Tensor loss = where(positive, t * (log(where(positive, t, 1)) - x), 0);
  return {loss.sum(), detail::constant_like(loss, t.size(0))};
}

LossParts L1Loss::parts(const Tensor& prediction, const Tensor& target) const {
  return over_elements(abs(difference("L1Loss", prediction, target)));
}

SmoothL1Loss::SmoothL1Loss(double beta) : beta_(beta) {
  WEFT_CHECK(Error, beta > 0, "SmoothL1Loss: beta is ", beta, "; it must be positive");
}

LossParts SmoothL1Loss::parts(const Tensor& prediction, const Tensor& target) const {
  const Tensor d = abs(difference("SmoothL1Loss", prediction, target));
  const Tensor inner = clamp(d, 0, beta_);  // d within beta; then the line goes on: inner^2 / (2 beta) + d - inner
  return over_elements(square(inner) * (0.5 / beta_) + (d - inner));
}

LossParts MSELoss::parts(const Tensor& prediction, const Tensor& target) const {
  return over_elements(square(difference("MSELoss", prediction, target)));
}

}  // namespace weft::nn
