// Focal loss of class labels.
#pragma once

#include "weft/autograd/ops/cross_entropy.h"

namespace weft {

struct FocalLossOptions {
  double gamma = 2;           ///< how much positions that are right already are held back; 0: cross entropy
  int64_t axis = 1;           ///< of the classes
  int64_t ignore_label = -1;  ///< positions with this label count for nothing; in u8, -1 is 255
  Tensor weights = {};        ///< one per class, [C]: the alpha of the paper; no gradient is taken by them
  LossReduction reduction = LossReduction::mean;
};

/// logits [N, C, d…], labels [N, d…] of i64, i32 or u8. With p the softmax of a position, its loss is
/// -weights[label] (1 - p_label)^gamma log p_label, 0 where ignored; mean divides the sum by the sum of weights[label]
/// of the positions that count. Lin et al., "Focal loss for dense object detection", 2017. Composed of recorded
/// operations; the result is f32 for f16 and bf16 logits. Labels that are no class: as nll_loss.
Tensor focal_loss(const Tensor& logits, const Tensor& labels, const FocalLossOptions& options = {});

}  // namespace weft
