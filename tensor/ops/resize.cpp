#include "weft/tensor/ops/resize.h"

#include <cmath>

#include "weft/tensor/channels.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/resize_nearest.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(ResizeArgs, resize_kernel);
WEFT_KERNEL(ResizeBackwardArgs, resize_backward_kernel);

namespace ops {
namespace {

ResizeAxis axis_of(int64_t in, int64_t out, double scale, bool align_corners) {
  ResizeAxis axis{in, out, 0, align_corners};
  if (align_corners)
    axis.step = out > 1 ? static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
  else
    axis.step = scale > 0 ? 1 / scale : static_cast<double>(in) / static_cast<double>(out);
  return axis;
}

void check(const char* operation, const Tensor& x, Pair from, Pair to, const ResizeOptions& options) {
  check_floating(operation, x);
  check_rank(operation, x, 4, "[N, C, H, W]");
  WEFT_CHECK(ShapeError, from.h > 0 && from.w > 0 && to.h > 0 && to.w > 0, operation, ": an image of ", from,
             " cannot be resized to ", to, "; both must have a pixel");
  const double h = options.scale_h, w = options.scale_w;
  WEFT_CHECK(Error, h >= 0 && w >= 0 && std::isfinite(h) && std::isfinite(w), operation, ": scales ", h, " and ", w,
             " must be positive, or 0 for the ratio of the sizes");
}

bool is_nearest(const ResizeOptions& options) {
  WEFT_CHECK(Error, options.mode == ResizeMode::bilinear || !options.align_corners,
             "resize: .align_corners is for bilinear resize; leave it false for nearest");
  return options.mode == ResizeMode::nearest;
}

}  // namespace

Tensor resize(const Tensor& x, Pair size, const ResizeOptions& options) {
  if (is_nearest(options)) return resize_nearest(x, size, options.scale_h, options.scale_w);
  check_rank("resize", x, 4, "[N, C, H, W]");
  const Pair in{x.shape()[2], x.shape()[3]};
  check("resize", x, in, size, options);
  const Tensor y = empty_image(x, size.h, size.w);
  if (y.numel() == 0) return y;
  const Tensor image = contiguous(x, Layout::channels_last);
  profile_work(resize_kernel, image, y);
  resize_kernel({x.dtype(), x.shape()[0], x.shape()[1], axis_of(in.h, size.h, options.scale_h, options.align_corners),
                 axis_of(in.w, size.w, options.scale_w, options.align_corners), image.raw(), y.raw()},
                current_stream(x.device()));
  return y;
}

Tensor resize_backward(const Tensor& dy, Pair size, const ResizeOptions& options) {
  if (is_nearest(options)) return resize_nearest_backward(dy, size, options.scale_h, options.scale_w);
  check_rank("resize_backward", dy, 4, "[N, C, H, W]");
  const Pair out{dy.shape()[2], dy.shape()[3]};
  check("resize_backward", dy, size, out, options);
  const Tensor dx = empty_image(dy, size.h, size.w);
  if (dx.numel() == 0) return dx;
  const Tensor image = contiguous(dy, Layout::channels_last);
  profile_work(resize_backward_kernel, image, dx);
  resize_backward_kernel(
      {dy.dtype(), dy.shape()[0], dy.shape()[1], axis_of(size.h, out.h, options.scale_h, options.align_corners),
       axis_of(size.w, out.w, options.scale_w, options.align_corners), image.raw(), dx.raw()},
      current_stream(dy.device()));
  return dx;
}

}  // namespace ops
}  // namespace weft
