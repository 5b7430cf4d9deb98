// Convolution of images (cross-correlation, as everywhere in deep learning) and the two other products of its three
// operands.
//   y[n, o, i, j] = bias[o] + sum_{c, p, q} x[n, c, i*stride + p*dilation - top, j*stride + q*dilation - left] w[o, c,
//   p, q]
// where c runs over the input channels of o's group and x is zero outside; with a ReLU max(y, 0), NaN kept.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/ops/pair.h"
#include "weft/tensor/shape.h"

namespace weft {
class Tensor;

/// Zeros around an image: one number for all sides, a Pair for (top and bottom, left and right), or each side.
struct Padding {
  int64_t top = 0, bottom = 0, left = 0, right = 0;
  Padding(int64_t all = 0) : Padding(all, all, all, all) {}
  Padding(Pair both) : Padding(both.h, both.h, both.w, both.w) {}
  Padding(int64_t h, int64_t w) : Padding(h, h, w, w) {}
  Padding(int64_t t, int64_t b, int64_t l, int64_t r) : top(t), bottom(b), left(l), right(r) {}
};

/// How a filter moves over an image.
struct Conv2dGeometry {
  Pair stride = 1;
  Padding padding = 0;
  Pair dilation = 1;
  int64_t groups = 1;
};

/// Of x, w, y each pass computes one from the others: forward y, data x (the gradient of x), filter w (that of w).
enum class ConvPass : uint8_t { forward, data, filter };

/// Dense operands in memory order x [n, h, w, c], w [o, kh, kw, c / groups], y [n, oh, ow, o]; no extent is zero.
struct Conv2dArgs {
  ConvPass pass;
  DType dtype;      ///< floating; of x, w, y and bias
  bool allow_tf32;  ///< CUDA may round f32 operands to TF32
  int64_t n, c, h, w;
  int64_t o, kh, kw;
  int64_t oh, ow;
  int64_t groups;  ///< divides c and o; output channels [g * o/groups, (g+1) * o/groups) read input channels of group g
  int64_t stride_h, stride_w, dilation_h, dilation_w;
  int64_t top, bottom, left, right;  ///< padding >= 0
  void* x_data;
  void* w_data;
  void* y_data;
  const void* bias;  ///< [o], forward only; null: none
  bool relu;         ///< forward only: y = max(y, 0) with NaN kept, before the one rounding
};
extern Kernel<Conv2dArgs> conv2d_kernel;

namespace ops {
/// x [N, C, H, W], w [O, C/groups, kh, kw], bias [O] or undefined (none) -> y [N, O, oh, ow] with
/// oh = (H + top + bottom - dilation * (kh - 1) - 1) / stride + 1, rounded down; ow alike. One floating dtype.
/// Any layout in; channels-last out. N = 0 gives an empty y. `relu`: max(y, 0) in the same pass, NaN kept. Throws
/// ShapeError, DtypeError, DeviceError.
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const Conv2dGeometry& geometry = {},
              bool relu = false);
/// The gradient of x: dy [N, O, oh, ow], w as in conv2d, x_shape [N, C, H, W] -> dx of x_shape, channels-last.
Tensor conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Shape& x_shape,
                             const Conv2dGeometry& geometry = {});
/// The gradient of w: x, dy as in conv2d, w_shape [O, C/groups, kh, kw] -> dw of w_shape, in memory O, kh, kw,
/// C/groups.
Tensor conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Shape& w_shape,
                              const Conv2dGeometry& geometry = {});
}  // namespace ops
}  // namespace weft
