// y = X(x, w) + bias, X the gradient of conv2d by its images (conv2d.cpp says what X's gradients are)
#include "weft/autograd/ops/conv_transpose2d.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/conv2d.h"

namespace weft {

namespace {

void check(const Tensor& x, const Tensor& w, const ConvTranspose2dOptions& o) {
  const auto positive = [](const Pair& p) { return p.h > 0 && p.w > 0; };
  WEFT_CHECK(ShapeError, x.rank() == 4 && w.rank() == 4, "conv_transpose2d: images of shape ", x.shape(),
             " and filter ", w.shape(), " must be [N, C, H, W] and [C, O/groups, kh, kw]");
  WEFT_CHECK(ShapeError, x.shape()[1] == w.shape()[0], "conv_transpose2d: images ", x.shape(), " have ", x.shape()[1],
             " channels, filter ", w.shape(), " takes ", w.shape()[0]);
  WEFT_CHECK(ShapeError, positive(o.stride) && positive(o.dilation) && o.groups > 0, "conv_transpose2d: stride ",
             o.stride, ", dilation ", o.dilation, " and groups ", o.groups, " must be positive");
  const Pair& extra = o.output_padding;
  WEFT_CHECK(ShapeError, extra.h >= 0 && extra.w >= 0 && extra.h < o.stride.h && extra.w < o.stride.w,
             "conv_transpose2d: output padding ", extra, " must be at least 0 and less than stride ", o.stride);
  WEFT_CHECK(ShapeError, !o.bias.defined() || o.bias.shape() == Shape{w.shape()[1] * o.groups},
             "conv_transpose2d: the bias must have one value per output channel, [", w.shape()[1] * o.groups, "], got ",
             o.bias.defined() ? o.bias.shape() : Shape{});
}

Shape result_shape(const Tensor& x, const Tensor& w, const ConvTranspose2dOptions& o) {
  const auto extent = [](int64_t in, int64_t stride, int64_t cut, int64_t dilation, int64_t kernel, int64_t extra) {
    return (in - 1) * stride - cut + dilation * (kernel - 1) + extra + 1;
  };
  const Padding& p = o.padding;
  const Shape shape{x.shape()[0], w.shape()[1] * o.groups,
                    extent(x.shape()[2], o.stride.h, p.top + p.bottom, o.dilation.h, w.shape()[2], o.output_padding.h),
                    extent(x.shape()[3], o.stride.w, p.left + p.right, o.dilation.w, w.shape()[3], o.output_padding.w)};
  WEFT_CHECK(ShapeError, x.shape()[2] > 0 && x.shape()[3] > 0 && shape[2] > 0 && shape[3] > 0,
             "conv_transpose2d: images ", x.shape(), " and filter ", w.shape(), " give a result of shape ", shape,
             "; it must have a pixel");
  return shape;
}

}  // namespace

Tensor conv_transpose2d(const Tensor& images, const Tensor& filter, const ConvTranspose2dOptions& options) {
  check(images, filter, options);
  using autograd::for_product;
  const Tensor x = for_product(images), w = for_product(filter), bias = for_product(options.bias);
  const Conv2dGeometry geometry{options.stride, options.padding, options.dilation, options.groups};
  Tensor y = autograd::conv2d_input_gradient(x, w, result_shape(x, w, options), geometry);
  if (!bias.defined()) return y;
  WEFT_CHECK(DtypeError, bias.dtype() == y.dtype(), "conv_transpose2d: the bias is ", bias.dtype(), ", the filter ",
             w.dtype(), "; convert one with .to(dtype)");
  return y + bias.reshape({1, bias.numel(), 1, 1});
}

}  // namespace weft
