// Kullback-Leibler divergence.
#pragma once

#include "weft/autograd/ops/cross_entropy.h"

namespace weft {

struct KlDivergenceOptions {
  bool log_target = false;  ///< the target is given as log probabilities too
  LossReduction reduction = LossReduction::mean;
};

/// x log probabilities, target t probabilities, of one shape: t (log t - x), 0 where t is 0. mean is over all elements;
/// the divergence per sample is the sum divided by their number. Composed of recorded operations; the result is f32 for
/// f16 and bf16 x.
Tensor kl_divergence(const Tensor& x, const Tensor& target, const KlDivergenceOptions& options = {});

}  // namespace weft
