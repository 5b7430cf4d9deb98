#include "weft/tensor/ops/max_pool2d.h"

#include <limits>

#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(MaxPool2dArgs, max_pool2d_kernel);
WEFT_KERNEL(MaxPool2dBackwardArgs, max_pool2d_backward_kernel);
WEFT_KERNEL(MaxPool2dGatherArgs, max_pool2d_gather_kernel);

namespace ops {
namespace {

int64_t out_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode) {
  const int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;
  if (room < 0) return 0;
  int64_t out = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (ceil_mode && (out - 1) * stride >= in + padding) --out;
  return out;
}

MaxPool2dGeometry geometry_of(DType dtype, const Shape& shape, const MaxPool2dOptions& options) {
  MaxPool2dGeometry g{.dtype = dtype,
                      .batch = shape[0],
                      .channels = shape[1],
                      .in = {shape[2], shape[3]},
                      .out = {},
                      .kernel = options.kernel,
                      .stride = options.stride == Pair(0) ? options.kernel : options.stride,
                      .padding = options.padding,
                      .dilation = options.dilation};
  const Pair &k = g.kernel, &s = g.stride, &p = g.padding, &d = g.dilation;
  WEFT_CHECK(ShapeError, k.h > 0 && k.w > 0 && s.h > 0 && s.w > 0 && d.h > 0 && d.w > 0, "max_pool2d: kernel ", k,
             ", stride ", s, " and dilation ", d, " must be positive");
  WEFT_CHECK(ShapeError, p.h >= 0 && p.w >= 0 && p.h <= k.h / 2 && p.w <= k.w / 2, "max_pool2d: padding ", p,
             " must be between 0 and half of kernel ", k);
  g.out = {out_size(g.in.h, k.h, s.h, p.h, d.h, options.ceil_mode),
           out_size(g.in.w, k.w, s.w, p.w, d.w, options.ceil_mode)};
  WEFT_CHECK(ShapeError, g.in.h > 0 && g.in.w > 0 && g.out.h > 0 && g.out.w > 0, "max_pool2d: an image of ", g.in,
             " with padding ", p, " holds no window of kernel ", k, " and dilation ", d);
  WEFT_CHECK(ShapeError, g.in.h <= std::numeric_limits<int32_t>::max() / g.in.w, "max_pool2d: an image of ", g.in,
             " has more than 2^31 - 1 pixels");
  return g;
}

void check_outputs(const MaxPool2dGeometry& g, const Tensor& dy, const Tensor& index) {
  const Shape expected{g.batch, g.channels, g.out.h, g.out.w};
  WEFT_CHECK(ShapeError, dy.shape() == expected && index.shape() == expected, "max_pool2d: outputs of an image of ",
             g.in, " have shape ", expected, ", got ", dy.shape(), " with index ", index.shape());
  WEFT_CHECK(DtypeError, index.dtype() == DType::i32, "max_pool2d: the index must be int32, got ", index.dtype());
}

const int32_t* indices(const Tensor& index) { return index.data<int32_t>(Layout::channels_last); }

}  // namespace

std::pair<Tensor, Tensor> max_pool2d(const Tensor& x, const MaxPool2dOptions& options) {
  check_floating("max_pool2d", x);
  check_rank("max_pool2d", x, 4, "[N, C, H, W]");
  const MaxPool2dGeometry g = geometry_of(x.dtype(), x.shape(), options);
  const Shape shape{g.batch, g.channels, g.out.h, g.out.w};
  const Tensor y = empty(shape, {.dtype = x.dtype(), .device = x.device()}, Layout::channels_last);
  const Tensor index = empty(shape, {.dtype = DType::i32, .device = x.device()}, Layout::channels_last);
  if (y.numel() > 0) {
    const Tensor image = contiguous(x, Layout::channels_last);
    profile_work(max_pool2d_kernel, image, y, index);
    max_pool2d_kernel({g, image.raw(), y.raw(), index.data<int32_t>(Layout::channels_last)},
                      current_stream(x.device()));
  }
  return {y, index};
}

Tensor max_pool2d_backward(const Tensor& dy, const Tensor& index, Pair size, const MaxPool2dOptions& options) {
  check_rank("max_pool2d_backward", dy, 4, "[N, C, OH, OW]");
  check_same_device("max_pool2d_backward", dy, index);
  const Shape shape{dy.shape()[0], dy.shape()[1], size.h, size.w};
  const MaxPool2dGeometry g = geometry_of(dy.dtype(), shape, options);
  check_outputs(g, dy, index);
  const Tensor dx = empty(shape, {.dtype = dy.dtype(), .device = dy.device()}, Layout::channels_last);
  if (dx.numel() == 0) return dx;
  const Tensor dense = contiguous(dy, Layout::channels_last);
  const Tensor places = contiguous(index, Layout::channels_last);
  profile_work(max_pool2d_backward_kernel, dense, places, dx);
  max_pool2d_backward_kernel({g, dense.raw(), indices(places), dx.raw()}, current_stream(dy.device()));
  return dx;
}

Tensor max_pool2d_gather(const Tensor& x, const Tensor& index, const MaxPool2dOptions& options) {
  check_rank("max_pool2d_gather", x, 4, "[N, C, H, W]");
  check_same_device("max_pool2d_gather", x, index);
  const MaxPool2dGeometry g = geometry_of(x.dtype(), x.shape(), options);
  check_outputs(g, index, index);
  const Tensor y = empty(index.shape(), {.dtype = x.dtype(), .device = x.device()}, Layout::channels_last);
  if (y.numel() == 0) return y;
  const Tensor image = contiguous(x, Layout::channels_last);
  const Tensor places = contiguous(index, Layout::channels_last);
  profile_work(max_pool2d_gather_kernel, image, places, y);
  max_pool2d_gather_kernel({g, image.raw(), indices(places), y.raw()}, current_stream(x.device()));
  return y;
}

}  // namespace ops
}  // namespace weft
