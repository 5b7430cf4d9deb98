// Batch norm with a residual and ReLU in one pass over the data: y = max(bn(x) + residual, 0). Statistics, sums and dx
// are those of batch_norm.h, which need only y to know where the ReLU was open.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// y = (x - mean) (inverse_std gamma) + beta + residual, then max(y, 0) with NaN kept if `relu`; [rows, channels].
struct BatchNormAddArgs {
  DType dtype;
  int64_t rows, channels;
  bool relu;
  const void* x;
  const void* residual;
  const void* mean;  ///< Compute<dtype> [channels], as the next three
  const void* inverse_std;
  const void* gamma;
  const void* beta;
  void* y;
};
/// dz = dy where y > 0, else 0: dense, in one order.
struct BatchNormAddBackwardArgs {
  DType dtype;
  int64_t numel;
  const void* dy;
  const void* y;
  void* dz;
};
extern Kernel<BatchNormAddArgs> batch_norm_add_kernel;
extern Kernel<BatchNormAddBackwardArgs> batch_norm_add_backward_kernel;

namespace ops {
/// x and residual [N, C] or [N, C, d…] of one shape and dtype -> y of their shape, channels-last. Vectors are [C], as
/// batch_norm_normalize takes them; undefined gamma is 1, beta 0.
Tensor batch_norm_add(const Tensor& x, const Tensor& residual, const Tensor& mean, const Tensor& inverse_std,
                      const Tensor& gamma, const Tensor& beta, bool relu);
/// dy where y > 0, else 0; channels-last.
Tensor batch_norm_add_backward(const Tensor& dy, const Tensor& y);
}  // namespace ops

}  // namespace weft
