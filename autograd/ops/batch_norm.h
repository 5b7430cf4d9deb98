// Recorded batch norm, with an optional ReLU in the same pass.
#pragma once

#include "weft/autograd/last_derivative.h"
#include "weft/tensor/tensor.h"

namespace weft {

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;  ///< weight of the new statistics in the running ones
  bool training = false;  ///< normalise by the batch's statistics and update the running ones; else by the running ones
  bool relu = false;      ///< max(y, 0)
};

/// y = (x - mean) / sqrt(var + eps) * gamma + beta per channel, axis 1 of x [N, C] or [N, C, d…]; the result is
/// channels-last. gamma and beta [C] may be undefined (1 and 0). In training the running statistics, if defined, are
/// updated in place, the variance unbiased; otherwise they are required. Vectors are f32, f64 for f64 x; those only
/// read may have x's dtype. ShapeError in training with one value per channel.
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& running_mean,
                  const Tensor& running_var, const BatchNormOptions& options = {});

namespace autograd {
/// What x is normalised by: the batch's statistics in training, else the running ones.
struct BatchNormBasis {
  Tensor mean, var, inverse_std;
  bool by_batch;
};
/// Checks as batch_norm says, and takes the statistics.
BatchNormBasis batch_norm_basis(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                                const BatchNormOptions& options);
/// Moves the running statistics, if defined, by those of a batch x.
void batch_norm_advance(const BatchNormBasis& basis, const Tensor& x, const Tensor& running_mean,
                        const Tensor& running_var, const BatchNormOptions& options);

/// What the gradient of batch norm needs: values of the forward pass, and which gradients are wanted.
struct BatchNormKept {
  Saved mean, inverse_std;
  MaybeSaved y;  ///< the output, if it had a ReLU
  bool training;
  DType gamma_dtype, beta_dtype;
};
BatchNormKept batch_norm_kept(const BatchNormBasis& basis, const Tensor& y, const Tensor& gamma, const Tensor& beta,
                              const BatchNormOptions& options);
/// {dx, dgamma, dbeta}, those wanted; itself recorded, as a function of dy, x and gamma (which may be undefined).
Tensors batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gamma, const BatchNormKept& kept,
                            std::span<const bool> wanted);
}  // namespace autograd

}  // namespace weft
