// The arithmetic of optimizers, for many tensors in one call: value and state change in place, the gradient is only
// read. w: value, g: gradient, d = g + decay * w (decay added to the gradient), lr: learning rate.
//   SGD       m = momentum * m + d;   w -= lr * (nesterov ? d + momentum * m : m)
//   Adam(W)   m = b1 m + (1 - b1) d,  v = b2 v + (1 - b2) d^2;  w -= lr * (m / c1) / (sqrt(v / c2) + eps),
//             ci = 1 - bi^step; decoupled decay (AdamW, Loshchilov and Hutter 2019): d = g and w *= 1 - lr * decay
//             first
//   RMSprop   s = alpha * s + (1 - alpha) d^2;  a = centered ? (mean = alpha * mean + (1 - alpha) d, s - mean^2) : s;
//             d = d / (sqrt(a) + eps);  with momentum: m = momentum * m + d, d = m;  w -= lr * d
// as in PyTorch, with Adam by Kingma and Ba 2015, RMSprop by Tieleman and Hinton 2012.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// One tensor of a call: dense, `numel` elements; `first`, `second` and `third` are states or null.
struct UpdateItem {
  int64_t numel;
  void* value;
  const void* gradient;
  void* first;
  void* second;
  void* third;
  double lr, decay;
};
/// `items`: host memory, for this call. f32 or f64, the same for all.
struct SgdUpdateArgs {
  DType dtype;
  int64_t count;
  const UpdateItem* items;
  double momentum;
  bool nesterov;
  double scale;  ///< factor on every gradient
  const double* gate =
      nullptr;  ///< on the device (loss_scale.h): closed, nothing changes, else a factor more; null: none
};
struct AdamUpdateArgs {
  DType dtype;
  int64_t count;
  const UpdateItem* items;
  double beta1, beta2, eps;
  double correction1, correction2;  ///< c1, c2; by a gate's step if there is a gate
  bool decoupled;
  double scale;
  const double* gate = nullptr;
};
/// States: first s, second the mean if `centered`, third m if momentum > 0.
struct RmspropUpdateArgs {
  DType dtype;
  int64_t count;
  const UpdateItem* items;
  double alpha, eps, momentum;
  double scale;
  const double* gate = nullptr;
};
extern Kernel<SgdUpdateArgs> sgd_update_kernel;
extern Kernel<AdamUpdateArgs> adam_update_kernel;
extern Kernel<RmspropUpdateArgs> rmsprop_update_kernel;

}  // namespace weft
