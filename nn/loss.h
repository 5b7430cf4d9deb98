// Losses as modules without parameters. parts() gives {sum, weight}, which add up over shares of a batch; calling the
// loss gives the mean.
#pragma once

#include "weft/nn/loss_parts.h"

namespace weft::nn {

struct CrossEntropyLossOptions {
  int64_t ignore_label = -1;
  Tensor weights = {};  ///< one per class, on the host; copied to where the logits are
};

/// Softmax cross entropy from logits [N, C, d…] and labels [N, d…] of an integer dtype.
class SoftmaxCrossEntropyLoss {
 public:
  explicit SoftmaxCrossEntropyLoss(CrossEntropyLossOptions options = {}) : options_(std::move(options)) {}
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

/// (prediction - target)^2, summed over elements; every element weighs 1.
class MSELoss {
 public:
  LossParts parts(const Tensor& prediction, const Tensor& target) const;
  Tensor operator()(const Tensor& prediction, const Tensor& target) const { return parts(prediction, target).mean(); }
};

}  // namespace weft::nn
