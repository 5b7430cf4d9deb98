// Padding of images by a constant, their reflection or their edge; a negative number of pixels crops.
#pragma once

#include <vector>

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/ops/conv2d.h"

namespace weft {
class Tensor;

enum class PadMode : uint8_t { constant, reflect, replicate };

struct PadOptions {
  PadMode mode = PadMode::constant;
  double value = 0;                 ///< of the padding, if constant
  std::vector<double> values = {};  ///< one per channel, in place of value
};

/// One axis: output o lies at o - before in the source. Reflection leaves out the edge: source -1 is 1.
struct PadAxis {
  int64_t in, out, before;
  PadMode mode;
};
/// The source pixel of output o; -1: the constant.
WEFT_INLINE int64_t pad_source(const PadAxis& a, int64_t o) {
  const int64_t i = o - a.before;
  if (i >= 0 && i < a.in) return i;
  if (a.mode == PadMode::constant) return -1;
  if (a.mode == PadMode::replicate) return i < 0 ? 0 : a.in - 1;
  return i < 0 ? -i : 2 * (a.in - 1) - i;
}
/// The outputs of source pixel i, in ascending order: of the padding before, of the image, of the padding after.
struct PadOutputs {
  struct Range {
    int64_t begin, end;
  };
  Range part[3];
};
WEFT_INLINE PadOutputs pad_outputs(const PadAxis& a, int64_t i) {
  const auto clipped = [&](int64_t begin, int64_t end, int64_t from, int64_t to) {
    begin = begin > from ? begin : from;
    end = end < to ? end : to;
    return PadOutputs::Range{begin, end > begin ? end : begin};
  };
  const int64_t image = a.before, after = a.before + a.in;
  const int64_t until = image < a.out ? image : a.out, since = after > 0 ? after : 0;
  PadOutputs outputs{{{0, 0}, clipped(image + i, image + i + 1, 0, a.out), {0, 0}}};
  if (a.mode == PadMode::replicate) {
    if (i == 0) outputs.part[0] = clipped(0, image, 0, until);
    if (i == a.in - 1) outputs.part[2] = clipped(after, a.out, since, a.out);
  } else if (a.mode == PadMode::reflect) {
    const int64_t low = image - i, high = image + 2 * (a.in - 1) - i;
    outputs.part[0] = clipped(low, low + 1, 0, until);
    outputs.part[2] = clipped(high, high + 1, since, a.out);
  }
  return outputs;
}

/// Images are channels-last: x [batch, h.in, w.in, channels], y [batch, h.out, w.out, channels]; elements are moved as
/// bytes.
struct PadArgs {
  int64_t element_size;
  int64_t batch, channels;
  PadAxis h, w;
  const void* x;
  uint64_t fill;      ///< the constant, in the low bytes
  const void* fills;  ///< [channels], or null: `fill` for all
  void* y;
};
/// The transpose: dx at a pixel = sum of dy over its outputs, in row-major order.
struct PadBackwardArgs {
  DType dtype;  ///< floating
  int64_t batch, channels;
  PadAxis h, w;
  const void* dy;
  void* dx;
};
extern Kernel<PadArgs> pad_kernel;
extern Kernel<PadBackwardArgs> pad_backward_kernel;

namespace ops {
/// x [N, C, H, W] of any dtype -> [N, C, H + top + bottom, W + left + right], channels-last. ShapeError if nothing is
/// left, if a reflection is as large as the image, or values are not one per channel.
Tensor pad(const Tensor& x, const Padding& padding, const PadOptions& options);
/// dy [N, C, h, w] -> [N, C, size.h, size.w], `size` that of the image that was padded.
Tensor pad_backward(const Tensor& dy, Pair size, const Padding& padding, PadMode mode);
}  // namespace ops

}  // namespace weft
