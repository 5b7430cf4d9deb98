// weft's own kernels for convolutions: each pass written out plainly, and what cuDNN's plans leave out.
#pragma once

#include "weft/tensor/device.h"
#include "weft/tensor/ops/conv2d.h"

namespace weft::cuda {

/// Any pass, dtype and geometry, with bias and ReLU. Sums are taken in double, in a fixed order.
void conv2d_plain(const Conv2dArgs& args, Stream stream);
/// y[…, i] += bias[i], then max(y, 0) if `relu`
void conv2d_bias(const Conv2dArgs& args, Stream stream);

}  // namespace weft::cuda
