// Batch norm over the batch of all ranks of a group.
#pragma once

#include "weft/autograd/ops/batch_norm.h"

namespace weft::nn {

/// Called by every rank of current_rank().group with its share x; gamma, beta, running statistics are the rank's own
/// copies of one value. Statistics are merged by count (Chan, Golub and LeVeque 1979: count, mean, sum of squared
/// deviations), in order of rank or by the group's tree; the running ones are updated alike on all ranks. Recorded as
/// one joint node; its gradient sums over the ranks too. Throws ShapeError with one value per channel over the whole
/// batch, CommError where ranks do not meet.
Tensor sync_batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& running_mean,
                       const Tensor& running_var, const weft::BatchNormOptions& options);
/// The same with the rank's residual, of its x's shape, added before the ReLU; under Autocast the narrower of the two
/// is widened.
Tensor sync_batch_norm_add(const Tensor& x, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
                           const Tensor& running_mean, const Tensor& running_var,
                           const weft::BatchNormOptions& options);

}  // namespace weft::nn
