#include "weft/tensor/ops/batch_norm_add.h"

#include "weft/tensor/channels.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(BatchNormAddArgs, batch_norm_add_kernel);
WEFT_KERNEL(BatchNormAddBackwardArgs, batch_norm_add_backward_kernel);

namespace ops {
Tensor batch_norm_add(const Tensor& x, const Tensor& residual, const Tensor& mean, const Tensor& inverse_std,
                      const Tensor& gamma, const Tensor& beta, bool relu) {
  check_floating("batch_norm_add", x);
  check_same("batch_norm_add", x, residual);
  const Tensor y = empty_channels_last(x);
  const Tensor m = channel_vector("batch_norm_add", "running_mean", mean, x, 0),
               r = channel_vector("batch_norm_add", "running_var", inverse_std, x, 1);
  const Tensor g = channel_vector("batch_norm_add", "gamma", gamma, x, 1),
               b = channel_vector("batch_norm_add", "beta", beta, x, 0);
  if (y.numel() == 0) return y;
  const Tensor dense = contiguous(x, Layout::channels_last), other = contiguous(residual, Layout::channels_last);
  const int64_t channels = x.shape()[1];
  profile_work(batch_norm_add_kernel, dense, other, m, r, g, b, y);
  batch_norm_add_kernel({x.dtype(), x.numel() / channels, channels, relu, dense.raw(), other.raw(), m.raw(), r.raw(),
                         g.raw(), b.raw(), y.raw()},
                        current_stream(x.device()));
  return y;
}

Tensor batch_norm_add_backward(const Tensor& dy, const Tensor& y) {
  check_same("batch_norm_add_backward", dy, y);
  const Tensor dz = empty_channels_last(y);
  if (dz.numel() == 0) return dz;
  const Tensor dense_dy = contiguous(dy, Layout::channels_last), dense_y = contiguous(y, Layout::channels_last);
  profile_work(batch_norm_add_backward_kernel, dense_dy, dense_y, dz);
  batch_norm_add_backward_kernel({y.dtype(), y.numel(), dense_dy.raw(), dense_y.raw(), dz.raw()},
                                 current_stream(y.device()));
  return dz;
}

}  // namespace ops
}  // namespace weft
