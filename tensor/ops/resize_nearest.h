// Nearest resize of images: what resize() does in ResizeMode::nearest. Output o is source pixel floor(o in / out), or
// floor(o / scale) where a scale is given, as in PyTorch; at most the last one.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/ops/pair.h"

namespace weft {
class Tensor;

struct NearestAxis {
  int64_t in, out;
  double step;  ///< source pixels per output pixel; 0: in / out, in whole numbers
};
WEFT_INLINE int64_t nearest_source(const NearestAxis& a, int64_t o) {
  const int64_t i = a.step > 0 ? static_cast<int64_t>(static_cast<double>(o) * a.step) : o * a.in / a.out;
  return i < a.in ? i : a.in - 1;
}
/// Outputs begin … end - 1 are those of source pixel i.
struct NearestRange {
  int64_t begin, end;
};
WEFT_INLINE NearestRange nearest_range(const NearestAxis& a, int64_t i) {
  const double step = a.step > 0 ? a.step : static_cast<double>(a.in) / static_cast<double>(a.out);
  const double guess = static_cast<double>(i) / step, most = static_cast<double>(a.out);
  int64_t begin = static_cast<int64_t>(guess < most ? guess : most);
  while (begin > 0 && nearest_source(a, begin - 1) >= i) --begin;
  while (begin < a.out && nearest_source(a, begin) < i) ++begin;
  int64_t end = begin;
  while (end < a.out && nearest_source(a, end) == i) ++end;
  return {begin, end};
}

/// Images are channels-last: x [batch, h.in, w.in, channels], y [batch, h.out, w.out, channels]; elements are moved as
/// bytes.
struct ResizeNearestArgs {
  int64_t element_size;
  int64_t batch, channels;
  NearestAxis h, w;
  const void* x;
  void* y;
};
/// The transpose: dx at a pixel = sum of dy over its outputs, in row-major order.
struct ResizeNearestBackwardArgs {
  DType dtype;  ///< floating
  int64_t batch, channels;
  NearestAxis h, w;
  const void* dy;
  void* dx;
};
extern Kernel<ResizeNearestArgs> resize_nearest_kernel;
extern Kernel<ResizeNearestBackwardArgs> resize_nearest_backward_kernel;

namespace ops {
/// x [N, C, H, W] of any dtype -> [N, C, height, width], channels-last. `scale_h`, `scale_w`: output / input used for
/// positions, 0: the ratio of the sizes. Throws ShapeError on an empty image or size.
Tensor resize_nearest(const Tensor& x, Pair size, double scale_h = 0, double scale_w = 0);
/// dy [N, C, h, w] -> [N, C, size.h, size.w], `size` that of an x resized to dy's size.
Tensor resize_nearest_backward(const Tensor& dy, Pair size, double scale_h = 0, double scale_w = 0);
}  // namespace ops

}  // namespace weft
