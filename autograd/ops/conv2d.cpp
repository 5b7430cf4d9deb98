// With Y(x, w) the convolution, X(dy, w) its gradient by x and W(x, dy) that by w, each linear in both arguments:
//   z = Y(x, w) + bias;   dx = X(dz, w),   dw = W(x, dz),   dbias = sum of dz over images and pixels
//   y = z or max(z, 0);   dz = dy, or dy where y > 0
//   X(dy, w), for a gradient g of the shape of x:   by dy: Y(g, w),   by w: W(g, dy)
//   W(x, dy), for a gradient g of the shape of w:   by x: X(dy, g),   by dy: Y(x, g)
#include "weft/autograd/ops/conv2d.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/record.h"

namespace weft {

namespace {

// As an operation of its own: the second derivative needs no bias.
Tensor convolve(const Tensor& x, const Tensor& w, const Conv2dGeometry& geometry) {
  return conv2d(x, w,
                {.stride = geometry.stride,
                 .padding = geometry.padding,
                 .dilation = geometry.dilation,
                 .groups = geometry.groups});
}

// A ReLU whose values are there already, as a node after that of the convolution: dz is computed once for all inputs.
Tensor rectified(const Tensor& z) {
  return autograd::record("relu", z.detach(), autograd::edge(z, [](const Tensor& dy, const Tensor& y) {
                            return autograd::unary_gradient(UnaryOp::relu, dy, y);
                          }));
}

}  // namespace

Tensor conv2d(const Tensor& images, const Tensor& filter, const Conv2dOptions& options) {
  using namespace autograd;
  const Conv2dGeometry geometry{options.stride, options.padding, options.dilation, options.groups};
  const Tensor x = for_product(images), w = for_product(filter), bias = for_product(options.bias);
  const Tensor y = ops::conv2d(x, w, bias, geometry, options.relu);
  if (!tracked(x, w, bias)) return y;
  auto by_x = edge(x, [w = saved(w), shape = x.shape(), geometry](const Tensor& dz) {
    return conv2d_input_gradient(dz, w, shape, geometry);
  });
  auto by_w = edge(w, [x = saved(x), shape = w.shape(), geometry](const Tensor& dz) {
    return conv2d_weight_gradient(x, dz, shape, geometry);
  });
  const auto bias_gradient = [](const Tensor& dz) { return dz.sum({.axes = {0, 2, 3}}); };  // [O]
  const Tensor z = bias.defined() ? record("conv2d", y, std::move(by_x), std::move(by_w), edge(bias, bias_gradient))
                                  : record("conv2d", y, std::move(by_x), std::move(by_w));
  return options.relu ? rectified(z) : z;
}

Tensor autograd::conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Shape& x_shape,
                                       const Conv2dGeometry& geometry) {
  Tensor dx = ops::conv2d_input_gradient(dy, w, x_shape, geometry);
  if (!tracked(dy, w)) return dx;
  return record("conv2d_input_gradient", dx,
                edge(dy, [w = saved(w), geometry](const Tensor& g) { return convolve(g, w, geometry); }),
                edge(w, [dy = saved(dy), shape = w.shape(), geometry](const Tensor& g) {
                  return conv2d_weight_gradient(g, dy, shape, geometry);
                }));
}

Tensor autograd::conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Shape& w_shape,
                                        const Conv2dGeometry& geometry) {
  Tensor dw = ops::conv2d_weight_gradient(x, dy, w_shape, geometry);
  if (!tracked(x, dy)) return dw;
  return record("conv2d_weight_gradient", dw,
                edge(x, [dy = saved(dy), shape = x.shape(),
                         geometry](const Tensor& g) { return conv2d_input_gradient(dy, g, shape, geometry); }),
                edge(dy, [x = saved(x), geometry](const Tensor& g) { return convolve(x, g, geometry); }));
}

}  // namespace weft
