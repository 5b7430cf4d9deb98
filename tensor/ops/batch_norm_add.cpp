#include "weft/tensor/ops/batch_norm_add.h"

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(BatchNormAddArgs, batch_norm_add_kernel);
WEFT_KERNEL(BatchNormAddBackwardArgs, batch_norm_add_backward_kernel);

namespace ops {
namespace {

// A vector of the channels in the compute dtype; an undefined one is filled with `missing`.
Tensor channel_vector(const char* name, const Tensor& v, const Tensor& x, double missing) {
  const int64_t channels = x.shape()[1];
  const DType dtype = compute_dtype(x.dtype());
  if (!v.defined()) return full({channels}, missing, {.dtype = dtype, .device = x.device()});
  check_same_device("batch_norm_add", x, v);
  WEFT_CHECK(ShapeError, v.shape() == Shape{channels}, "batch_norm_add: ", name, " has shape ", v.shape(),
             ", the input ", x.shape(), " has ", channels, " channels");
  WEFT_CHECK(DtypeError, v.dtype() == dtype || v.dtype() == x.dtype(), "batch_norm_add: ", name, " is ", v.dtype(),
             " for an input of ", x.dtype(), "; convert it with .to(", dtype, ")");
  return contiguous(cast(v, dtype));
}

Tensor empty_result(const Tensor& x) {
  return empty(x.shape(), {.dtype = x.dtype(), .device = x.device()}, Layout::channels_last);
}

}  // namespace

Tensor batch_norm_add(const Tensor& x, const Tensor& residual, const Tensor& mean, const Tensor& inverse_std,
                      const Tensor& gamma, const Tensor& beta, bool relu) {
  check_floating("batch_norm_add", x);
  check_same("batch_norm_add", x, residual);
  const Tensor y = empty_result(x);
  const Tensor m = channel_vector("running_mean", mean, x, 0), r = channel_vector("running_var", inverse_std, x, 1);
  const Tensor g = channel_vector("gamma", gamma, x, 1), b = channel_vector("beta", beta, x, 0);
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
  const Tensor dz = empty_result(y);
  if (dz.numel() == 0) return dz;
  const Tensor dense_dy = contiguous(dy, Layout::channels_last), dense_y = contiguous(y, Layout::channels_last);
  profile_work(batch_norm_add_backward_kernel, dense_dy, dense_y, dz);
  batch_norm_add_backward_kernel({y.dtype(), y.numel(), dense_dy.raw(), dense_y.raw(), dz.raw()},
                                 current_stream(y.device()));
  return dz;
}

}  // namespace ops
}  // namespace weft
