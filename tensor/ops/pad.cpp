#include "weft/tensor/ops/pad.h"

#include "weft/tensor/channels.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(PadArgs, pad_kernel);
WEFT_KERNEL(PadBackwardArgs, pad_backward_kernel);

namespace ops {
namespace {

constexpr int64_t largest_side = 0x7fffffff;  // of each side, so that sums cannot overflow

// Checks one axis; `sides` says which in an error.
PadAxis axis_of(int64_t in, int64_t before, int64_t after, PadMode mode, const char* sides) {
  WEFT_CHECK(ShapeError,
             before <= largest_side && after <= largest_side && before >= -largest_side && after >= -largest_side,
             "pad: ", before, " and ", after, " pixels (", sides, ") are more than 2^31 - 1");
  const int64_t out = in + before + after;
  WEFT_CHECK(ShapeError, in > 0 && out > 0, "pad: ", before, " and ", after, " pixels (", sides, ") around ", in,
             " leave ", out, "; at least one must remain");
  WEFT_CHECK(ShapeError, mode != PadMode::reflect || (before < in && after < in), "pad: a reflection of ", before,
             " and ", after, " pixels (", sides, ") must be smaller than the image's ", in);
  return {in, out, before, mode};
}

struct PadAxes {
  PadAxis h, w;
};
PadAxes axes_of(Pair size, const Padding& p, PadMode mode) {
  return {axis_of(size.h, p.top, p.bottom, mode, "top, bottom"), axis_of(size.w, p.left, p.right, mode, "left, right")};
}

// One value per channel, on x's device; undefined if one number says it all.
Tensor fills_of(const Tensor& x, const PadOptions& options) {
  if (options.mode != PadMode::constant || options.values.empty()) return {};
  const int64_t channels = x.shape()[1], given = static_cast<int64_t>(options.values.size());
  WEFT_CHECK(ShapeError, given == channels, "pad: ", given, " values for the ", channels, " channels of shape ",
             x.shape(), "; give one per channel");
  return to(cast(tensor(options.values, {channels}, Device()), x.dtype()), x.device());
}

}  // namespace

Tensor pad(const Tensor& x, const Padding& padding, const PadOptions& options) {
  check_rank("pad", x, 4, "[N, C, H, W]");
  const PadAxes axes = axes_of({x.shape()[2], x.shape()[3]}, padding, options.mode);
  const Tensor fills = fills_of(x, options), y = empty_image(x, axes.h.out, axes.w.out);
  if (y.numel() == 0) return y;
  const Tensor image = contiguous(x, Layout::channels_last);
  profile_work(pad_kernel, image, fills, y);
  pad_kernel({size_of(x.dtype()), x.shape()[0], x.shape()[1], axes.h, axes.w, image.raw(),
              element_bits(x.dtype(), options.value), fills.defined() ? fills.raw() : nullptr, y.raw()},
             current_stream(x.device()));
  return y;
}

Tensor pad_backward(const Tensor& dy, Pair size, const Padding& padding, PadMode mode) {
  check_floating("pad_backward", dy);
  check_rank("pad_backward", dy, 4, "[N, C, H, W]");
  const PadAxes axes = axes_of(size, padding, mode);
  WEFT_CHECK(ShapeError, dy.shape()[2] == axes.h.out && dy.shape()[3] == axes.w.out,
             "pad_backward: a gradient of shape ", dy.shape(), " for an output of ", Pair(axes.h.out, axes.w.out));
  const Tensor dx = empty_image(dy, size.h, size.w);
  if (dx.numel() == 0) return dx;
  const Tensor image = contiguous(dy, Layout::channels_last);
  profile_work(pad_backward_kernel, image, dx);
  pad_backward_kernel({dy.dtype(), dy.shape()[0], dy.shape()[1], axes.h, axes.w, image.raw(), dx.raw()},
                      current_stream(dy.device()));
  return dx;
}

}  // namespace ops
}  // namespace weft
