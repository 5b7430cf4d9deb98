// Means over windows of an image: windows of one size on a grid, or windows that divide the image as evenly as they
// can.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/ops/pair.h"

namespace weft {
class Tensor;

struct AvgPool2dOptions {
  Pair kernel = 2;
  Pair stride = 0;  ///< 0: as kernel
  Pair padding = 0;
  bool ceil_mode = false;  ///< a last window may hang over the edge, if it starts inside the image or its left padding
  bool count_include_pad = true;  ///< divide by what of the window lies in the image or its padding; else the image
};

/// Windows along one axis. Grid: window o covers o stride - padding … + kernel - 1. Adaptive: it covers
/// floor(o in / out) … ceil((o + 1) in / out) - 1.
struct PoolAxis {
  int64_t in, out;
  int64_t kernel, stride, padding;
  bool adaptive, count_padding;
};
/// Pixels begin … end - 1 are added up; `count` is this axis' factor of the divisor.
struct PoolWindow {
  int64_t begin, end, count;
};
WEFT_INLINE PoolWindow pool_window(const PoolAxis& a, int64_t o) {
  if (a.adaptive) {
    const int64_t begin = o * a.in / a.out, end = ((o + 1) * a.in + a.out - 1) / a.out;
    return {begin, end, end - begin};
  }
  const int64_t start = o * a.stride - a.padding, stop = start + a.kernel;
  const int64_t begin = start > 0 ? start : 0, end = stop < a.in ? stop : a.in;
  const int64_t padded = stop < a.in + a.padding ? stop : a.in + a.padding;
  return {begin, end > begin ? end : begin, a.count_padding ? padded - start : end - begin};
}
/// Windows begin … end - 1 are those that cover pixel i.
struct PoolCover {
  int64_t begin, end;
};
WEFT_INLINE PoolCover pool_cover(const PoolAxis& a, int64_t i) {
  if (a.adaptive) return {i * a.out / a.in, ((i + 1) * a.out + a.in - 1) / a.in};
  const int64_t at = i + a.padding, end = at / a.stride + 1;
  return {at < a.kernel ? 0 : (at - a.kernel) / a.stride + 1, end < a.out ? end : a.out};
}

/// Images are channels-last: x [batch, h.in, w.in, channels], y [batch, h.out, w.out, channels].
struct AvgPool2dArgs {
  DType dtype;
  int64_t batch, channels;
  PoolAxis h, w;
  const void* x;
  void* y;
};
/// The transpose: dx at a pixel = sum over the windows that cover it, in row-major order, of dy / divisor.
struct AvgPool2dBackwardArgs {
  DType dtype;
  int64_t batch, channels;
  PoolAxis h, w;
  const void* dy;
  void* dx;
};
extern Kernel<AvgPool2dArgs> avg_pool2d_kernel;
extern Kernel<AvgPool2dBackwardArgs> avg_pool2d_backward_kernel;

/// The windows of both axes.
struct PoolWindows {
  PoolAxis h, w;
};

namespace ops {
/// For images [N, C, H, W]. ShapeError unless padding <= kernel / 2 and the output has a pixel.
PoolWindows pool_windows(const Tensor& x, const AvgPool2dOptions& options);
/// size.h by size.w windows. ShapeError unless the image and the size have a pixel.
PoolWindows adaptive_windows(const Tensor& x, Pair size);
/// x [N, C, h.in, w.in] -> [N, C, h.out, w.out], channels-last; floating dtypes.
Tensor avg_pool2d(const Tensor& x, const PoolWindows& windows);
/// dy [N, C, h.out, w.out] -> [N, C, h.in, w.in], channels-last.
Tensor avg_pool2d_backward(const Tensor& dy, const PoolWindows& windows);
}  // namespace ops

}  // namespace weft
