// LossParts: a loss before division. Losses of several shares of a batch add up because sums and weights do.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft::nn {

/// sum: the weighted sum of the loss over the samples (or pixels) of a share, rank 0, tracked. weight: the sum of their
/// weights, rank 0, not tracked; ignored samples weigh nothing.
struct LossParts {
  Tensor sum;
  Tensor weight;
  /// sum / weight; 0 where nothing has weight.
  Tensor mean() const;
};

/// sum divided by a weight that may be that of a larger batch; 0 where the weight is 0.
Tensor divide_by_weight(const Tensor& sum, const Tensor& weight);

}  // namespace weft::nn
