// Maximum over windows of an image. Padding counts as -inf, NaN wins, and of equal values the first in row-major order.
#pragma once

#include <utility>

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/ops/pair.h"

namespace weft {
class Tensor;

struct MaxPool2dOptions {
  Pair kernel = 2;
  Pair stride = 0;  ///< 0: as kernel
  Pair padding = 0;
  Pair dilation = 1;
  bool ceil_mode = false;  ///< a last window may hang over the edge, if it starts inside the image or its left padding
};

/// Images are channels-last: x [batch, in.h, in.w, channels], y and index [batch, out.h, out.w, channels].
/// Window (i, j) reads rows i stride.h - padding.h + k dilation.h, k = 0 … kernel.h - 1, columns alike.
struct MaxPool2dGeometry {
  DType dtype;
  int64_t batch, channels;
  Pair in, out, kernel, stride, padding, dilation;
};
struct MaxPool2dArgs {
  MaxPool2dGeometry geometry;
  const void* x;
  void* y;
  int32_t* index;  ///< row * in.w + column of the maximum; -1 if the window holds no pixel (y is -inf)
};
/// dx at a pixel = sum of dy over the windows that cover it and whose index is that pixel, in row-major order of
/// windows.
struct MaxPool2dBackwardArgs {
  MaxPool2dGeometry geometry;
  const void* dy;
  const int32_t* index;
  void* dx;
};
/// y = x at the indices, 0 where the index is -1: the transpose of backward.
struct MaxPool2dGatherArgs {
  MaxPool2dGeometry geometry;
  const void* x;
  const int32_t* index;
  void* y;
};
extern Kernel<MaxPool2dArgs> max_pool2d_kernel;
extern Kernel<MaxPool2dBackwardArgs> max_pool2d_backward_kernel;
extern Kernel<MaxPool2dGatherArgs> max_pool2d_gather_kernel;

namespace ops {
/// x [N, C, H, W] -> y [N, C, OH, OW] and the index (i32) of each maximum, both channels-last; floating dtypes.
/// Throws ShapeError unless padding <= kernel / 2 and the output has a pixel.
std::pair<Tensor, Tensor> max_pool2d(const Tensor& x, const MaxPool2dOptions& options);
/// dy and index [N, C, OH, OW] -> dx [N, C, size.h, size.w]: every dy goes to the pixel that was the maximum.
Tensor max_pool2d_backward(const Tensor& dy, const Tensor& index, Pair size, const MaxPool2dOptions& options);
/// x [N, C, H, W] -> its values at index [N, C, OH, OW].
Tensor max_pool2d_gather(const Tensor& x, const Tensor& index, const MaxPool2dOptions& options);
}  // namespace ops

}  // namespace weft
