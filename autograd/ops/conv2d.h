// Recorded convolution of images.
#pragma once

#include "weft/tensor/ops/conv2d.h"
#include "weft/tensor/tensor.h"

namespace weft {

struct Conv2dOptions {
  Pair stride = 1;
  Padding padding = 0;  ///< one number; {vertical, horizontal}; or {top, bottom, left, right}
  Pair dilation = 1;
  int64_t groups = 1;
  Tensor bias = {};   ///< [O]
  bool relu = false;  ///< max(y, 0) in the same pass
};

/// x [N, C, H, W], w [O, C/groups, kh, kw] -> [N, O, oh, ow], channels-last; the formula is in tensor/ops/conv2d.h.
/// Any layout in; fastest, without a copy, where x and w are channels-last. One floating dtype.
/// Throws ShapeError, DtypeError, DeviceError.
Tensor conv2d(const Tensor& x, const Tensor& w, const Conv2dOptions& options = {});

namespace autograd {
/// The gradients of conv2d by x (from dy and w) and by w (from x and dy), themselves recorded.
Tensor conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Shape& x_shape,
                             const Conv2dGeometry& geometry = {});
Tensor conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Shape& w_shape,
                              const Conv2dGeometry& geometry = {});
}  // namespace autograd

}  // namespace weft
