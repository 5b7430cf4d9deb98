// Batch norm in its parts, so that statistics can be merged over devices between them:
//   mean, var = statistics(x);   r = 1 / sqrt(var + eps);   y = relu?((x - mean) (r gamma) + beta)
// Backward, with dz = dy where y > 0 (all of dy without ReLU) and xh = (x - mean) r:
//   dbeta = sum dz,  dgamma = sum dz xh,  dx = gamma r (dz - dbeta / count - xh dgamma / count)   (training)
//                                         dx = gamma r dz                                         (given statistics)
// Kernels see channels-last data as [rows, channels]. C = Compute<dtype>: f32 for f16, bf16 and f32, f64 for f64.
#pragma once

#include <utility>

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// Sums over rows are taken in chunks of this many rows, then over the chunks in order, in double.
inline constexpr int64_t batch_norm_chunk = 128;

/// Per channel: mean and biased variance, from deviations (never as E[x^2] - E[x]^2 of the raw values).
struct BatchNormStatisticsArgs {
  DType dtype;
  int64_t rows, channels;
  const void* x;
  void* partials;  ///< C scratch [ceil(rows / batch_norm_chunk), 2, channels]
  void* mean;      ///< C [channels]
  void* var;       ///< C [channels]
};
/// inverse_std = 1 / sqrt(var + eps), if not null. With running statistics: running += momentum (new - running), where
/// the new variance is the unbiased var * count / (count - 1).
struct BatchNormFinishArgs {
  DType dtype;  ///< C itself: f32 or f64
  int64_t channels;
  double count, eps, momentum;
  const void* mean;  ///< read only with running statistics
  const void* var;
  void* inverse_std;
  void* running_mean;  ///< C [channels], or null, as running_var
  void* running_var;
};
/// y = (x - mean) (inverse_std gamma) + beta, then max(y, 0) with NaN kept if `relu`.
struct BatchNormArgs {
  DType dtype;
  int64_t rows, channels;
  bool relu;
  const void* x;
  const void* mean;  ///< C [channels], as the next three
  const void* inverse_std;
  const void* gamma;
  const void* beta;
  void* y;
};
/// The two sums over rows: sum_dz and sum_dz_xh.
struct BatchNormSumsArgs {
  DType dtype;
  int64_t rows, channels;
  const void* x;
  const void* dy;
  const void* y;  ///< output of the forward pass if it had a ReLU (dz = dy where y > 0), else null (dz = dy)
  const void* mean;
  const void* inverse_std;
  void* partials;   ///< C scratch, as for the statistics
  void* sum_dz;     ///< C [channels]
  void* sum_dz_xh;  ///< C [channels]
};
/// dx = gamma inverse_std (dz - sum_dz / count - xh sum_dz_xh / count); without sums dx = gamma inverse_std dz.
struct BatchNormBackwardArgs {
  DType dtype;
  int64_t rows, channels;
  double count;
  const void* x;
  const void* dy;
  const void* y;
  const void* mean;
  const void* inverse_std;
  const void* gamma;
  const void* sum_dz;  ///< null: statistics were given, not taken from x
  const void* sum_dz_xh;
  void* dx;
};
extern Kernel<BatchNormStatisticsArgs> batch_norm_statistics_kernel;
extern Kernel<BatchNormFinishArgs> batch_norm_finish_kernel;
extern Kernel<BatchNormArgs> batch_norm_kernel;
extern Kernel<BatchNormSumsArgs> batch_norm_sums_kernel;
extern Kernel<BatchNormBackwardArgs> batch_norm_backward_kernel;

namespace ops {
// x is [N, C] or [N, C, d…]; results of its shape are channels-last; vectors are [C] of the compute dtype. Gamma, beta
// and running statistics may have x's own dtype too where a function only reads them; undefined gamma is 1, beta 0.

/// Mean and biased variance. Throws ShapeError on an empty batch.
std::pair<Tensor, Tensor> batch_norm_statistics(const Tensor& x);
/// 1 / sqrt(var + eps).
Tensor batch_norm_inverse_std(const Tensor& var, double eps);
/// In place: running += momentum (statistic - running); `count` values per channel, above 1, make the variance
/// unbiased.
void batch_norm_update(const Tensor& mean, const Tensor& var, double count, double momentum, Tensor& running_mean,
                       Tensor& running_var);
Tensor batch_norm_normalize(const Tensor& x, const Tensor& mean, const Tensor& inverse_std, const Tensor& gamma,
                            const Tensor& beta, bool relu);
/// {sum dz, sum dz xh}: dbeta and dgamma. `y`: the output if it had a ReLU, else undefined.
std::pair<Tensor, Tensor> batch_norm_sums(const Tensor& x, const Tensor& dy, const Tensor& y, const Tensor& mean,
                                          const Tensor& inverse_std);
/// dx from the sums over all `count` values per channel; undefined sums: the statistics were given, not taken from x.
Tensor batch_norm_dx(const Tensor& x, const Tensor& dy, const Tensor& y, const Tensor& mean, const Tensor& inverse_std,
                     const Tensor& gamma, const Tensor& sum_dz, const Tensor& sum_dz_xh, double count);
}  // namespace ops

}  // namespace weft
