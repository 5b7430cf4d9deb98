// Dice loss of class labels.
#pragma once

#include "weft/autograd/ops/cross_entropy.h"

namespace weft {

struct DiceLossOptions {
  double smooth = 1;          ///< added to both sides of the ratio, so that a class that is absent is no 0 / 0
  int64_t ignore_label = -1;  ///< positions with this label count for nothing; in u8, -1 is 255
  LossReduction reduction = LossReduction::mean;
};

/// logits [N, C, d…], labels [N, d…] of i64, i32 or u8. With p the softmax over the classes and t the labels as 0 and
/// 1, both over the positions of one image that count, the loss of an image is the mean over the classes of
///   1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth)
/// none: one loss per image, [N];  sum, mean: over the images. Composed of recorded operations; the result is f32 for
/// f16 and bf16 logits. On the CPU a label that is no class throws IndexError; on CUDA the image's loss is NaN.
Tensor dice_loss(const Tensor& logits, const Tensor& labels, const DiceLossOptions& options = {});

}  // namespace weft
