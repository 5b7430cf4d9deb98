// Negative log likelihood of class labels.
#pragma once

#include "weft/autograd/ops/cross_entropy.h"

namespace weft {

struct NllLossOptions {
  int64_t axis = 1;           ///< of the classes
  int64_t ignore_label = -1;  ///< positions with this label count for nothing; in u8, -1 is 255
  Tensor weights = {};        ///< one per class, [C]; no gradient is taken by them
  LossReduction reduction = LossReduction::mean;
};

/// x [N, C, d…] log probabilities (log_softmax gives them), labels [N, d…] of i64, i32 or u8. The loss of a position is
/// -weights[label] x_label, 0 where ignored; mean divides the sum by the sum of weights[label] of the positions that
/// count. Composed of recorded operations; the result is f32 for f16 and bf16 x. On the CPU a label that is no class
/// throws IndexError; on CUDA its loss is NaN.
Tensor nll_loss(const Tensor& x, const Tensor& labels, const NllLossOptions& options = {});

}  // namespace weft
