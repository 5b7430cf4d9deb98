#include "weft/tensor/ops/avg_pool2d.h"

#include "weft/tensor/channels.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(AvgPool2dArgs, avg_pool2d_kernel);
WEFT_KERNEL(AvgPool2dBackwardArgs, avg_pool2d_backward_kernel);

namespace ops {
namespace {

int64_t out_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding, bool ceil_mode) {
  const int64_t room = in + 2 * padding - kernel;
  if (room < 0) return 0;
  int64_t out = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (ceil_mode && (out - 1) * stride >= in + padding) --out;
  return out;
}

}  // namespace

PoolWindows pool_windows(const Tensor& x, const AvgPool2dOptions& options) {
  check_floating("avg_pool2d", x);
  check_rank("avg_pool2d", x, 4, "[N, C, H, W]");
  const Pair &k = options.kernel, s = options.stride == Pair(0) ? k : options.stride, &p = options.padding;
  WEFT_CHECK(ShapeError, k.h > 0 && k.w > 0 && s.h > 0 && s.w > 0, "avg_pool2d: kernel ", k, " and stride ", s,
             " must be positive");
  WEFT_CHECK(ShapeError, p.h >= 0 && p.w >= 0 && p.h <= k.h / 2 && p.w <= k.w / 2, "avg_pool2d: padding ", p,
             " must be between 0 and half of kernel ", k);
  const Pair in{x.shape()[2], x.shape()[3]};
  const Pair out{out_size(in.h, k.h, s.h, p.h, options.ceil_mode), out_size(in.w, k.w, s.w, p.w, options.ceil_mode)};
  WEFT_CHECK(ShapeError, in.h > 0 && in.w > 0 && out.h > 0 && out.w > 0, "avg_pool2d: an image of ", in,
             " with padding ", p, " holds no window of kernel ", k);
  const bool count = options.count_include_pad;
  return {{in.h, out.h, k.h, s.h, p.h, false, count}, {in.w, out.w, k.w, s.w, p.w, false, count}};
}

PoolWindows adaptive_windows(const Tensor& x, Pair size) {
  check_floating("adaptive_avg_pool2d", x);
  check_rank("adaptive_avg_pool2d", x, 4, "[N, C, H, W]");
  const Pair in{x.shape()[2], x.shape()[3]};
  WEFT_CHECK(ShapeError, in.h > 0 && in.w > 0 && size.h > 0 && size.w > 0, "adaptive_avg_pool2d: an image of ", in,
             " cannot be pooled to ", size, "; both must have a pixel");
  return {{in.h, size.h, 0, 0, 0, true, false}, {in.w, size.w, 0, 0, 0, true, false}};
}

Tensor avg_pool2d(const Tensor& x, const PoolWindows& windows) {
  const Tensor y = empty_image(x, windows.h.out, windows.w.out);
  if (y.numel() == 0) return y;
  const Tensor image = contiguous(x, Layout::channels_last);
  profile_work(avg_pool2d_kernel, image, y);
  avg_pool2d_kernel({x.dtype(), x.shape()[0], x.shape()[1], windows.h, windows.w, image.raw(), y.raw()},
                    current_stream(x.device()));
  return y;
}

Tensor avg_pool2d_backward(const Tensor& dy, const PoolWindows& windows) {
  check_floating("avg_pool2d_backward", dy);
  check_rank("avg_pool2d_backward", dy, 4, "[N, C, OH, OW]");
  WEFT_CHECK(ShapeError, dy.shape()[2] == windows.h.out && dy.shape()[3] == windows.w.out,
             "avg_pool2d_backward: a gradient of shape ", dy.shape(), " for ", Pair(windows.h.out, windows.w.out),
             " windows");
  const Tensor dx = empty_image(dy, windows.h.in, windows.w.in);
  if (dx.numel() == 0) return dx;
  const Tensor image = contiguous(dy, Layout::channels_last);
  profile_work(avg_pool2d_backward_kernel, image, dx);
  avg_pool2d_backward_kernel({dy.dtype(), dy.shape()[0], dy.shape()[1], windows.h, windows.w, image.raw(), dx.raw()},
                             current_stream(dy.device()));
  return dx;
}

}  // namespace ops
}  // namespace weft
