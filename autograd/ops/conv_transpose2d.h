// Recorded transposed convolution: the gradient of conv2d by its images, taken as an operation of its own.
#pragma once

#include "weft/tensor/ops/conv2d.h"
#include "weft/tensor/tensor.h"

namespace weft {

struct ConvTranspose2dOptions {
  Pair stride = 1;
  Padding padding = 0;      ///< of the convolution this is the transpose of: it is cut off the result
  Pair output_padding = 0;  ///< rows below and columns to the right that the result has more; less than stride
  Pair dilation = 1;
  int64_t groups = 1;
  Tensor bias = {};  ///< [O]
};

/// x [N, C, H, W], w [C, O/groups, kh, kw] -> [N, O, oh, ow], channels-last, where
/// oh = (H - 1) stride - top - bottom + dilation (kh - 1) + output_padding + 1, ow alike:
///   y[n, o, i stride + p dilation - top, j stride + q dilation - left] += x[n, c, i, j] w[c, o, p, q], plus bias[o]
/// One floating dtype; gradients of any order. The bias is added to the sum in x's dtype: f16 and bf16 round twice.
/// Throws ShapeError, DtypeError, DeviceError.
Tensor conv_transpose2d(const Tensor& x, const Tensor& w, const ConvTranspose2dOptions& options = {});

}  // namespace weft
