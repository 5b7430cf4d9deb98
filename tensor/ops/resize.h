// Resize of images, bilinear or nearest (resize_nearest.h). Bilinear: output o lies at source position
//   align_corners: o (in - 1) / (out - 1)      else: max((o + 1/2) step - 1/2, 0),  step = in / out, or 1 / scale
// as in PyTorch; it blends pixels floor(position) and the next one, which is clamped at the edge.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/ops/pair.h"

namespace weft {
class Tensor;

enum class ResizeMode : uint8_t { bilinear, nearest };

struct ResizeOptions {
  bool align_corners = false;  ///< bilinear only
  double scale_h = 0;  ///< output / input used for positions, where it is not the ratio of the sizes; 0: that ratio
  double scale_w = 0;
  ResizeMode mode = ResizeMode::bilinear;
};

/// One axis: an output's two source pixels and the weight of the second.
struct ResizeAxis {
  int64_t in, out;
  double step;  ///< source pixels per output pixel
  bool align_corners;
};
struct ResizeTap {
  int64_t low, high;
  double weight;  ///< of `high`; `low` has 1 - weight
};
WEFT_INLINE ResizeTap resize_tap(const ResizeAxis& axis, int64_t o) {
  const double at = static_cast<double>(o);
  double position = axis.align_corners ? at * axis.step : (at + 0.5) * axis.step - 0.5;
  position = position > 0 ? position : 0;
  int64_t low = static_cast<int64_t>(position);
  if (low > axis.in - 1) low = axis.in - 1;
  if (low == axis.in - 1) return {low, low, 0};
  return {low, low + 1, position - static_cast<double>(low)};
}
/// The weight that output o gives to source pixel i: 0 if it does not touch it.
WEFT_INLINE double resize_weight(const ResizeAxis& axis, int64_t o, int64_t i) {
  const ResizeTap tap = resize_tap(axis, o);
  return (tap.low == i ? 1 - tap.weight : 0.0) + (tap.high == i ? tap.weight : 0.0);
}

/// Images are channels-last: x [batch, h.in, w.in, channels], y [batch, h.out, w.out, channels].
struct ResizeArgs {
  DType dtype;
  int64_t batch, channels;
  ResizeAxis h, w;
  const void* x;
  void* y;
};
/// The transpose: dx at (i, j) = sum over outputs (o, p), in an order that is always the same, of weight_h(o, i)
/// weight_w(p, j) dy(o, p).
struct ResizeBackwardArgs {
  DType dtype;
  int64_t batch, channels;
  ResizeAxis h, w;
  const void* dy;
  void* dx;
};
extern Kernel<ResizeArgs> resize_kernel;
extern Kernel<ResizeBackwardArgs> resize_backward_kernel;

/// Outputs that may touch source pixel i are begin <= o < end; those outside have weight 0 for it.
struct ResizeRange {
  int64_t begin, end;
};
WEFT_INLINE ResizeRange resize_range(const ResizeAxis& axis, int64_t i) {
  const double shift = axis.align_corners ? 0.0 : 0.5;
  const double last = static_cast<double>(axis.out - 1);
  // Outputs at source positions in (i - 1, i + 1), one more on each side against rounding; the edges take all that is
  // left.
  double begin = 0, end = last;
  if (axis.step > 0) {
    if (i > 0) begin = (static_cast<double>(i) - 1 + shift) / axis.step - shift - 1;
    if (i < axis.in - 1) end = (static_cast<double>(i) + 1 + shift) / axis.step - shift + 1;
  } else if (i > 0) {
    return {0, 0};
  }
  begin = begin < 0 ? 0 : begin > last ? last : begin;
  end = end > last ? last : end < 0 ? 0 : end;
  return {static_cast<int64_t>(begin), static_cast<int64_t>(end) + 1};
}

namespace ops {
/// x [N, C, H, W] -> [N, C, height, width], channels-last; floating dtypes, any if nearest. Throws ShapeError on an
/// empty image or size.
Tensor resize(const Tensor& x, Pair size, const ResizeOptions& options = {});
/// dy [N, C, h, w] -> [N, C, size.h, size.w], where `size` and `options` are those of an x resized to dy's size.
Tensor resize_backward(const Tensor& dy, Pair size, const ResizeOptions& options = {});
}  // namespace ops

}  // namespace weft
