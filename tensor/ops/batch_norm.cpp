#include "weft/tensor/ops/batch_norm.h"

#include "weft/tensor/channels.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(BatchNormStatisticsArgs, batch_norm_statistics_kernel);
WEFT_KERNEL(BatchNormFinishArgs, batch_norm_finish_kernel);
WEFT_KERNEL(BatchNormArgs, batch_norm_kernel);
WEFT_KERNEL(BatchNormSumsArgs, batch_norm_sums_kernel);
WEFT_KERNEL(BatchNormBackwardArgs, batch_norm_backward_kernel);

namespace ops {
namespace {

void check_input(const Tensor& x) {
  check_floating("batch_norm", x);
  WEFT_CHECK(ShapeError, x.rank() >= 2, "batch_norm: expected [N, C] or [N, C, d…], got shape ", x.shape());
}

int64_t rows_of(const Tensor& x) { return x.numel() > 0 ? x.numel() / x.shape()[1] : 0; }

Tensor empty_vector(const Tensor& x) {
  return empty({x.shape()[1]}, {.dtype = compute_dtype(x.dtype()), .device = x.device()});
}

Tensor empty_partials(const Tensor& x, int64_t rows) {
  return empty({(rows + batch_norm_chunk - 1) / batch_norm_chunk, 2, x.shape()[1]},
               {.dtype = compute_dtype(x.dtype()), .device = x.device()});
}

Tensor channels_last(const Tensor& x) { return contiguous(x, Layout::channels_last); }

void check_running(const char* name, const Tensor& running, const Tensor& statistic) {
  check_same_device("batch_norm", statistic, running);
  WEFT_CHECK(ShapeError, running.shape() == statistic.shape(), "batch_norm: ", name, " has shape ", running.shape(),
             " for ", statistic.shape()[0], " channels");
  WEFT_CHECK(DtypeError, running.dtype() == statistic.dtype(), "batch_norm: ", name, " is ", running.dtype(),
             "; running statistics are kept as ", statistic.dtype());
  WEFT_CHECK(ShapeError, running.is_contiguous(), "batch_norm: ", name, " of strides ", running.strides(),
             " is updated in place and must be dense");
}

}  // namespace

std::pair<Tensor, Tensor> batch_norm_statistics(const Tensor& x) {
  check_input(x);
  WEFT_CHECK(ShapeError, x.numel() > 0, "batch_norm: no values to take statistics of in shape ", x.shape());
  const int64_t rows = rows_of(x);
  const Tensor dense = channels_last(x);
  const Tensor partials = empty_partials(x, rows);
  const Tensor mean = empty_vector(x), var = empty_vector(x);
  profile_work(batch_norm_statistics_kernel, dense, partials, mean, var);
  batch_norm_statistics_kernel({x.dtype(), rows, x.shape()[1], dense.raw(), partials.raw(), mean.raw(), var.raw()},
                               current_stream(x.device()));
  return {mean, var};
}

Tensor batch_norm_inverse_std(const Tensor& var, double eps) {
  const DType dtype = compute_dtype(var.dtype());
  const Tensor dense = contiguous(cast(var, dtype));
  const Tensor inverse_std = empty_like(dense);
  if (dense.numel() == 0) return inverse_std;
  profile_work(batch_norm_finish_kernel, dense, inverse_std);
  batch_norm_finish_kernel({.dtype = dtype,
                            .channels = dense.numel(),
                            .count = 0,
                            .eps = eps,
                            .momentum = 0,
                            .mean = nullptr,
                            .var = dense.raw(),
                            .inverse_std = inverse_std.raw(),
                            .running_mean = nullptr,
                            .running_var = nullptr},
                           current_stream(var.device()));
  return inverse_std;
}

void batch_norm_update(const Tensor& mean, const Tensor& var, double count, double momentum, Tensor& running_mean,
                       Tensor& running_var) {
  check_running("running_mean", running_mean, mean);
  check_running("running_var", running_var, var);
  profile_work(batch_norm_finish_kernel, mean, var, running_mean, running_mean, running_var, running_var);
  batch_norm_finish_kernel({.dtype = mean.dtype(),
                            .channels = mean.numel(),
                            .count = count,
                            .eps = 0,
                            .momentum = momentum,
                            .mean = mean.raw(),
                            .var = var.raw(),
                            .inverse_std = nullptr,
                            .running_mean = running_mean.raw(),
                            .running_var = running_var.raw()},
                           current_stream(mean.device()));
  running_mean.storage().bump_version("batch_norm");
  running_var.storage().bump_version("batch_norm");
}

Tensor batch_norm_normalize(const Tensor& x, const Tensor& mean, const Tensor& inverse_std, const Tensor& gamma,
                            const Tensor& beta, bool relu) {
  check_input(x);
  const Tensor y = empty_channels_last(x);
  const Tensor m = channel_vector("batch_norm", "running_mean", mean, x, 0),
               r = channel_vector("batch_norm", "running_var", inverse_std, x, 1);
  const Tensor g = channel_vector("batch_norm", "gamma", gamma, x, 1),
               b = channel_vector("batch_norm", "beta", beta, x, 0);
  if (y.numel() == 0) return y;
  const Tensor dense = channels_last(x);
  profile_work(batch_norm_kernel, dense, m, r, g, b, y);
  batch_norm_kernel(
      {x.dtype(), rows_of(x), x.shape()[1], relu, dense.raw(), m.raw(), r.raw(), g.raw(), b.raw(), y.raw()},
      current_stream(x.device()));
  return y;
}

std::pair<Tensor, Tensor> batch_norm_sums(const Tensor& x, const Tensor& dy, const Tensor& y, const Tensor& mean,
                                          const Tensor& inverse_std) {
  check_input(x);
  check_same("batch_norm_backward", x, dy);
  if (x.numel() == 0) return {channel_vector("batch_norm", "", {}, x, 0), channel_vector("batch_norm", "", {}, x, 0)};
  const Tensor dense_x = channels_last(x), dense_dy = channels_last(dy);
  const Tensor dense_y = y.defined() ? channels_last(y) : y;
  const Tensor m = channel_vector("batch_norm", "mean", mean, x, 0),
               r = channel_vector("batch_norm", "inverse_std", inverse_std, x, 1);
  const Tensor partials = empty_partials(x, rows_of(x));
  const Tensor sum_dz = empty_vector(x), sum_dz_xh = empty_vector(x);
  profile_work(batch_norm_sums_kernel, dense_x, dense_dy, dense_y, m, r, partials, sum_dz, sum_dz_xh);
  batch_norm_sums_kernel(
      {x.dtype(), rows_of(x), x.shape()[1], dense_x.raw(), dense_dy.raw(), y.defined() ? dense_y.raw() : nullptr,
       m.raw(), r.raw(), partials.raw(), sum_dz.raw(), sum_dz_xh.raw()},
      current_stream(x.device()));
  return {sum_dz, sum_dz_xh};
}

Tensor batch_norm_dx(const Tensor& x, const Tensor& dy, const Tensor& y, const Tensor& mean, const Tensor& inverse_std,
                     const Tensor& gamma, const Tensor& sum_dz, const Tensor& sum_dz_xh, double count) {
  check_input(x);
  check_same("batch_norm_backward", x, dy);
  const Tensor dx = empty_channels_last(x);
  if (dx.numel() == 0) return dx;
  const Tensor dense_x = channels_last(x), dense_dy = channels_last(dy);
  const Tensor dense_y = y.defined() ? channels_last(y) : y;
  const Tensor m = channel_vector("batch_norm", "mean", mean, x, 0),
               r = channel_vector("batch_norm", "inverse_std", inverse_std, x, 1);
  const Tensor g = channel_vector("batch_norm", "gamma", gamma, x, 1);
  profile_work(batch_norm_backward_kernel, dense_x, dense_dy, dense_y, m, r, g, sum_dz, sum_dz_xh, dx);
  batch_norm_backward_kernel(
      {x.dtype(), rows_of(x), x.shape()[1], count, dense_x.raw(), dense_dy.raw(), y.defined() ? dense_y.raw() : nullptr,
       m.raw(), r.raw(), g.raw(), sum_dz.defined() ? sum_dz.raw() : nullptr,
       sum_dz.defined() ? sum_dz_xh.raw() : nullptr, dx.raw()},
      current_stream(x.device()));
  return dx;
}

}  // namespace ops
}  // namespace weft
