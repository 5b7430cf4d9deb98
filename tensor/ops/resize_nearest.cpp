#include "weft/tensor/ops/resize_nearest.h"

#include <cmath>

#include "weft/tensor/channels.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(ResizeNearestArgs, resize_nearest_kernel);
WEFT_KERNEL(ResizeNearestBackwardArgs, resize_nearest_backward_kernel);

namespace ops {
namespace {

NearestAxis axis_of(int64_t in, int64_t out, double scale) { return {in, out, scale > 0 ? 1 / scale : 0}; }

void check(Pair from, Pair to, double h, double w) {
  WEFT_CHECK(ShapeError, from.h > 0 && from.w > 0 && to.h > 0 && to.w > 0, "resize: an image of ", from,
             " cannot be resized to ", to, "; both must have a pixel");
  WEFT_CHECK(Error, h >= 0 && w >= 0 && std::isfinite(h) && std::isfinite(w), "resize: scales ", h, " and ", w,
             " must be positive, or 0 for the ratio of the sizes");
}

}  // namespace

Tensor resize_nearest(const Tensor& x, Pair size, double scale_h, double scale_w) {
  check_rank("resize", x, 4, "[N, C, H, W]");
  const Pair in{x.shape()[2], x.shape()[3]};
  check(in, size, scale_h, scale_w);
  const Tensor y = empty_image(x, size.h, size.w);
  if (y.numel() == 0) return y;
  const Tensor image = contiguous(x, Layout::channels_last);
  profile_work(resize_nearest_kernel, image, y);
  resize_nearest_kernel({size_of(x.dtype()), x.shape()[0], x.shape()[1], axis_of(in.h, size.h, scale_h),
                         axis_of(in.w, size.w, scale_w), image.raw(), y.raw()},
                        current_stream(x.device()));
  return y;
}

Tensor resize_nearest_backward(const Tensor& dy, Pair size, double scale_h, double scale_w) {
  check_floating("resize_backward", dy);
  check_rank("resize_backward", dy, 4, "[N, C, H, W]");
  const Pair out{dy.shape()[2], dy.shape()[3]};
  check(size, out, scale_h, scale_w);
  const Tensor dx = empty_image(dy, size.h, size.w);
  if (dx.numel() == 0) return dx;
  const Tensor image = contiguous(dy, Layout::channels_last);
  profile_work(resize_nearest_backward_kernel, image, dx);
  resize_nearest_backward_kernel({dy.dtype(), dy.shape()[0], dy.shape()[1], axis_of(size.h, out.h, scale_h),
                                  axis_of(size.w, out.w, scale_w), image.raw(), dx.raw()},
                                 current_stream(dy.device()));
  return dx;
}

}  // namespace ops
}  // namespace weft
