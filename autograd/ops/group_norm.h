// Recorded layer norm, group norm and instance norm: groups of elements normalised by their own mean and variance.
#pragma once

#include "weft/autograd/last_derivative.h"
#include "weft/tensor/ops/group_norm.h"
#include "weft/tensor/tensor.h"

namespace weft {

// y = (x - mean) / sqrt(var + eps) * gamma + beta, mean and biased variance over the elements of one group; floating
// dtypes, any layout in, row-major out. gamma and beta may be undefined (1 and 0); they have the compute dtype (f32 for
// f16, bf16 and f32; f64 for f64) or x's own. Gradients of any order. ShapeError, DtypeError, DeviceError.

/// A group is what lies along the last axes, whose extents are `normalized`: also the shape of gamma and beta.
Tensor layer_norm(const Tensor& x, const Shape& normalized, const Tensor& gamma = {}, const Tensor& beta = {},
                  double eps = 1e-5);
/// x [N, C, d…]: a group is C / groups neighbouring channels of one sample; gamma and beta [C].
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& gamma = {}, const Tensor& beta = {},
                  double eps = 1e-5);
/// x [N, C, d…]: a group is one channel of one sample; gamma and beta [C].
Tensor instance_norm(const Tensor& x, const Tensor& gamma = {}, const Tensor& beta = {}, double eps = 1e-5);

namespace autograd {
/// Values of the forward pass.
struct GroupNormKept {
  Saved mean, inverse_std;
  ops::GroupNormRows rows;
  double eps;
};
/// dx; recorded, as a function of dy, x and gamma (which may be undefined).
Tensor group_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gamma, const GroupNormKept& kept);
}  // namespace autograd

}  // namespace weft
