// weft's own kernels for convolutions: each pass written out plainly, and the bias that cuDNN's plans leave out.
#pragma once

#include "weft/tensor/device.h"
#include "weft/tensor/ops/conv2d.h"

namespace weft::cuda {

/// Any pass, dtype and geometry, with bias. Sums are taken in double, in a fixed order.
void conv2d_plain(const Conv2dArgs& args, Stream stream);
/// y[…, i] += bias[i]
void conv2d_bias(const Conv2dArgs& args, Stream stream);

}  // namespace weft::cuda
