// Binary cross entropy from logits.
#pragma once

#include "weft/autograd/ops/cross_entropy.h"

namespace weft {

struct BinaryCrossEntropyOptions {
  Tensor weights = {};           ///< of the elements; broadcasts against the logits
  Tensor positive_weights = {};  ///< of the positive side, one per class for instance; broadcasts against the logits
  LossReduction reduction = LossReduction::mean;
};

/// logits x and targets t in [0, 1] of one shape. The loss of an element is, with p = sigmoid(x),
///   -weight (positive_weight t log p + (1 - t) log(1 - p)),   computed as softplus(x) - t x, finite for any finite x
/// mean is over all elements. Composed of recorded operations, so targets and weights have gradients too; the result is
/// f32 for f16 and bf16 logits.
Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets, const BinaryCrossEntropyOptions& options = {});

}  // namespace weft
