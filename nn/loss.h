// Losses as modules without parameters. parts() gives {sum, weight}, which add up over shares of a batch; calling the
// loss gives the mean.
#pragma once

#include "weft/nn/loss_parts.h"

namespace weft::nn {

struct CrossEntropyLossOptions {
  int64_t ignore_label = -1;  ///< in u8, -1 is 255
  Tensor weights = {};        ///< one per class, on the host; copied to where the logits are
  /// The part e of the target that is spread over all classes: (1 - e) loss + e / C * sum_c -weights[c] log p_c
  /// (Szegedy et al. 2016, as PyTorch).
  double label_smoothing = 0;
};

/// Softmax cross entropy from logits [N, C, d…] and labels [N, d…] of an integer dtype.
class SoftmaxCrossEntropyLoss {
 public:
  /// Throws Error unless 0 <= label_smoothing < 1.
  explicit SoftmaxCrossEntropyLoss(CrossEntropyLossOptions options = {});
  LossParts parts(const Tensor& logits, const Tensor& labels) const;
  Tensor operator()(const Tensor& logits, const Tensor& labels) const { return parts(logits, labels).mean(); }

 private:
  CrossEntropyLossOptions options_;
};

/// The loss of segmentation nets with an auxiliary head: main + aux_weight * aux, over the same labels.
class MixSoftmaxCrossEntropyLoss {
 public:
  explicit MixSoftmaxCrossEntropyLoss(double aux_weight = 0.4, CrossEntropyLossOptions options = {})
      : loss_(std::move(options)), aux_weight_(aux_weight) {}
  LossParts parts(const Tensor& main, const Tensor& aux, const Tensor& labels) const;
  Tensor operator()(const Tensor& main, const Tensor& aux, const Tensor& labels) const {
    return parts(main, aux, labels).mean();
  }

 private:
  SoftmaxCrossEntropyLoss loss_;
  double aux_weight_;
};

struct NLLLossOptions {
  int64_t ignore_label = -1;  ///< in u8, -1 is 255
  Tensor weights = {};        ///< one per class, on the host
};

/// -weights[label] x_label from log probabilities x [N, C, d…] and labels [N, d…] of an integer dtype. On the CPU a
/// label out of range throws IndexError; on CUDA it makes the loss NaN.
class NLLLoss {
 public:
  explicit NLLLoss(NLLLossOptions options = {}) : options_(std::move(options)) {}
  LossParts parts(const Tensor& log_probabilities, const Tensor& labels) const;
  Tensor operator()(const Tensor& x, const Tensor& labels) const { return parts(x, labels).mean(); }

 private:
  NLLLossOptions options_;
};

// The losses below compare a prediction with a target of the same shape (ShapeError), on the same device. Every element
// weighs 1, so the mean is that over elements.

struct BCEWithLogitsLossOptions {
  Tensor positive_weights = {};  ///< factor on the loss of positives, broadcast over the prediction; on the host
};

/// Binary cross entropy of sigmoid(x) and t in [0, 1], from logits, finite for finite ones:
/// (1 - t) x + (1 + (positive_weight - 1) t) log(1 + exp(-x)).
class BCEWithLogitsLoss {
 public:
  explicit BCEWithLogitsLoss(BCEWithLogitsLossOptions options = {}) : options_(std::move(options)) {}
  LossParts parts(const Tensor& logits, const Tensor& target) const;
  Tensor operator()(const Tensor& logits, const Tensor& target) const { return parts(logits, target).mean(); }

 private:
  BCEWithLogitsLossOptions options_;
};

/// t (log t - x), 0 where t is 0, from log probabilities x and probabilities t. Samples, along axis 0, weigh 1: the
/// mean is PyTorch's `batchmean`.
class KLDivLoss {
 public:
  LossParts parts(const Tensor& log_probabilities, const Tensor& target) const;
  Tensor operator()(const Tensor& x, const Tensor& target) const { return parts(x, target).mean(); }
};

/// |prediction - target|
class L1Loss {
 public:
  LossParts parts(const Tensor& prediction, const Tensor& target) const;
  Tensor operator()(const Tensor& prediction, const Tensor& target) const { return parts(prediction, target).mean(); }
};

/// d^2 / (2 beta) where d = |prediction - target| < beta, else d - beta / 2 (Girshick 2015).
class SmoothL1Loss {
 public:
  /// Throws Error unless beta > 0.
  explicit SmoothL1Loss(double beta = 1);
  LossParts parts(const Tensor& prediction, const Tensor& target) const;
  Tensor operator()(const Tensor& prediction, const Tensor& target) const { return parts(prediction, target).mean(); }

 private:
  double beta_;
};

/// (prediction - target)^2
class MSELoss {
 public:
  LossParts parts(const Tensor& prediction, const Tensor& target) const;
  Tensor operator()(const Tensor& prediction, const Tensor& target) const { return parts(prediction, target).mean(); }
};

}  // namespace weft::nn
