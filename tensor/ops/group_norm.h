// Rows normalised by their own mean and variance: what layer norm, group norm and instance norm share.
//   mean, var of a row (biased, from deviations);   r = 1 / sqrt(var + eps);   y = (x - mean) r gamma + beta
// Backward, with xh = (x - mean) r and u = dy gamma, sums over the row of n elements:
//   dx = r (u - sum(u) / n - xh sum(u xh) / n)
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// Dense rows [samples * groups, channels / groups, spatial]. Row i holds the channels of group i % groups; each has
/// one gamma and one beta. Layer norm: groups 1, spatial 1, an element is a channel.
struct GroupNormGeometry {
  DType dtype;
  int64_t rows, groups, channels, spatial;  ///< channels of all groups together

  WEFT_INLINE int64_t channels_of_row() const { return channels / groups; }
  WEFT_INLINE int64_t n() const { return channels / groups * spatial; }
};
/// C = Compute<dtype>: f32 for f16, bf16 and f32, f64 for f64.
struct GroupNormArgs {
  GroupNormGeometry geometry;
  double eps;
  const void* x;
  const void* gamma;  ///< C [channels]
  const void* beta;   ///< C [channels]
  void* mean;         ///< C [rows]
  void* inverse_std;  ///< C [rows]
  void* y;
};
struct GroupNormBackwardArgs {
  GroupNormGeometry geometry;
  const void* x;
  const void* dy;
  const void* gamma;
  const void* mean;
  const void* inverse_std;
  void* dx;
};
extern Kernel<GroupNormArgs> group_norm_kernel;
extern Kernel<GroupNormBackwardArgs> group_norm_backward_kernel;

namespace ops {
/// How a tensor is seen as rows; `name` is the operation that errors speak of.
struct GroupNormRows {
  const char* name;
  int64_t rows, groups, channels, spatial;
};
template <class T>
struct GroupNormOutputs {
  T y, mean, inverse_std;  ///< of x's shape, row-major; of the compute dtype, [rows]
};
/// gamma, beta: of `channels` elements, of x's or the compute dtype, or undefined (1, 0).
GroupNormOutputs<Tensor> group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps,
                                    const GroupNormRows& rows);
/// dx, row-major.
Tensor group_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gamma, const Tensor& mean,
                           const Tensor& inverse_std, const GroupNormRows& rows);
}  // namespace ops

}  // namespace weft
