// Recorded cross entropy from logits.
#pragma once

#include "weft/autograd/last_derivative.h"
#include "weft/tensor/ops/cross_entropy.h"
#include "weft/tensor/tensor.h"

namespace weft {

enum class LossReduction : uint8_t { mean, sum, none };

struct CrossEntropyOptions {
  int64_t axis = 1;           ///< of the classes
  int64_t ignore_label = -1;  ///< positions with this label count for nothing; in u8, -1 is 255
  Tensor weights = {};        ///< one per class, [C]; no gradient is taken by them
  LossReduction reduction = LossReduction::mean;
  double label_smoothing = 0;  ///< in [0, 1]: this much of a label is spread evenly over all classes
};

/// logits [N, C, d…] floating, labels [N, d…] of i64, i32 or u8. The loss of a position is
/// weights[label] * (log sum_c exp(logit_c) - logit_label), finite for any finite logits; 0 where the label is ignored.
/// none: a loss per position;  sum: their sum;  mean: that sum / the sum of weights[label] of the positions that count,
/// 0 if none does. With smoothing s, the loss of a position is
/// (1 - s) times that, plus s / C sum_c weights[c] (log sum exp - logit_c); composed, not fused. The result is f32 for
/// f16 and bf16 logits. On the CPU a label out of range throws IndexError; on
/// CUDA its loss is NaN.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options = {});

/// The two halves of the mean, both scalars: losses of parts of a batch add up because their sums and weights do.
struct CrossEntropySum {
  Tensor sum;     ///< recorded
  Tensor weight;  ///< of the positions that count; a constant
};
/// options.reduction is not read.
CrossEntropySum cross_entropy_sum(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options = {});

namespace autograd {
/// What the gradient needs beside the logits.
struct CrossEntropyKept {
  Saved labels, log_sum;
  MaybeSaved weights, weight;
  ops::CrossEntropySettings settings;
};
/// The gradient by the logits, for dloss per position or one for all; recorded.
Tensor cross_entropy_backward(const Tensor& dloss, const Tensor& logits, const CrossEntropyKept& kept);
}  // namespace autograd

}  // namespace weft
