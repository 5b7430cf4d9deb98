// Recorded convolution of lines: conv2d of images one pixel high, so its gradients of any order and its devices.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

struct Conv1dOptions {
  int64_t stride = 1;
  int64_t padding = 0;  ///< zeros at both ends
  int64_t dilation = 1;
  int64_t groups = 1;
  Tensor bias = {};   ///< [O]
  bool relu = false;  ///< max(y, 0) in the same pass
};

/// x [N, C, L], w [O, C/groups, k] -> [N, O, (L + 2 padding - dilation (k - 1) - 1) / stride + 1]; one floating dtype.
/// The formula is that of tensor/ops/conv2d.h. Throws ShapeError, DtypeError, DeviceError; where the fault lies in what
/// conv2d checks, its text speaks of conv2d.
Tensor conv1d(const Tensor& x, const Tensor& w, const Conv1dOptions& options = {});

}  // namespace weft
