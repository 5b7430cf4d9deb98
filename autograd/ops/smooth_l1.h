// Smooth L1 loss, and L1.
#pragma once

#include "weft/autograd/ops/cross_entropy.h"

namespace weft {

struct SmoothL1Options {
  double beta = 1;  ///< where the parabola meets the lines; 0: L1
  LossReduction reduction = LossReduction::mean;
};

/// z = x - target, of one shape: z^2 / (2 beta) where |z| < beta, else |z| - beta / 2; mean is over all elements.
/// Composed of recorded operations; the result is f32 for f16 and bf16 x.
Tensor smooth_l1(const Tensor& x, const Tensor& target, const SmoothL1Options& options = {});

}  // namespace weft
