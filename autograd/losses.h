// What losses composed of recorded operations share: labels as masks and weights, and reductions.
#pragma once

#include "weft/autograd/ops/cross_entropy.h"
#include "weft/tensor/tensor.h"

namespace weft::autograd {

/// Labels [N, d…] of classes along one axis of x [N, C, d…].
struct ClassLabels {
  int axis;        ///< in [0, rank)
  Tensor one_hot;  ///< bool, of x's shape: the label's class; nowhere in ignored positions
  Tensor counts;   ///< bool, of the labels' shape: not ignored
  Tensor weight;   ///< compute dtype, of the labels' shape: the class' weight, or 1; 0 where ignored; NaN if no class
};
/// Checks shapes and dtypes. On the CPU a label that is no class and not ignored throws IndexError; on CUDA its weight
/// is NaN, and so will be the loss. Class weights: [C], or undefined.
ClassLabels class_labels(const char* operation, const Tensor& x, const Tensor& labels, const Tensor& weights,
                         int64_t axis, int64_t ignore_label);

/// x with 0 in the ignored positions, so that neither values nor gradients depend on what they hold. Recorded.
Tensor without_ignored(const Tensor& x, const ClassLabels& labels);
/// The values of x at the labels, of the labels' shape; 0 where ignored, whatever x holds there. Recorded.
Tensor at_labels(const Tensor& x, const ClassLabels& labels);

/// none: the losses; sum: their sum; mean: the sum / the number of losses, or / the sum of `weight` if defined, 0 if
/// that is 0. Recorded.
Tensor reduced(const Tensor& losses, LossReduction reduction, const Tensor& weight = {});

/// x in the dtype in which losses are computed: f32 for f16 and bf16. Recorded. DtypeError unless floating.
Tensor widened(const char* operation, const Tensor& x);

}  // namespace weft::autograd
