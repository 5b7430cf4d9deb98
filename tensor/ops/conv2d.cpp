#include "weft/tensor/ops/conv2d.h"

#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/matmul.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(Conv2dArgs, conv2d_kernel);

namespace ops {
namespace {

constexpr int64_t largest = 0x7fffffff;  // of each number of a geometry, so that their products stay below 2^62

std::string to_string(const Padding& p) { return weft::to_string(Shape{p.top, p.bottom, p.left, p.right}); }

void check_geometry(const char* operation, const Conv2dGeometry& g) {
  const auto positive = [](int64_t value) { return value >= 1 && value <= largest; };
  const auto natural = [](int64_t value) { return value >= 0 && value <= largest; };
  WEFT_CHECK(ShapeError,
             positive(g.stride.h) && positive(g.stride.w) && positive(g.dilation.h) && positive(g.dilation.w) &&
                 positive(g.groups),
             operation, ": stride ", g.stride, ", dilation ", g.dilation, " and groups ", g.groups,
             " must be positive");
  WEFT_CHECK(ShapeError,
             natural(g.padding.top) && natural(g.padding.bottom) && natural(g.padding.left) && natural(g.padding.right),
             operation, ": padding ", to_string(g.padding), " (top, bottom, left, right) must not be negative");
}

// Checks that images of `x` and filters of `w` fit each other; everything but the pointers.
Conv2dArgs arguments(const char* operation, ConvPass pass, DType dtype, const Shape& x, const Shape& w,
                     const Conv2dGeometry& g) {
  check_geometry(operation, g);
  WEFT_CHECK(ShapeError, x.rank() == 4 && x[0] >= 0 && x[1] > 0 && x[2] > 0 && x[3] > 0, operation,
             ": images must be [N, C, H, W] with C, H, W > 0, got ", x);
  WEFT_CHECK(ShapeError, w.rank() == 4 && w[0] > 0 && w[1] > 0 && w[2] > 0 && w[3] > 0, operation,
             ": the filter must be [O, C/groups, kh, kw] without zeros, got ", w);
  WEFT_CHECK(ShapeError, w[0] % g.groups == 0, operation, ": groups ", g.groups, " do not divide the ", w[0],
             " output channels of filter ", w);
  WEFT_CHECK(ShapeError, w[1] * g.groups == x[1], operation, ": images ", x, " have ", x[1], " channels, filter ", w,
             " with groups ", g.groups, " takes ", w[1] * g.groups);
  const int64_t reach_h = g.dilation.h * (w[2] - 1) + 1, reach_w = g.dilation.w * (w[3] - 1) + 1;
  const int64_t room_h = x[2] + g.padding.top + g.padding.bottom - reach_h;
  const int64_t room_w = x[3] + g.padding.left + g.padding.right - reach_w;
  WEFT_CHECK(ShapeError, room_h >= 0 && room_w >= 0, operation, ": a filter of ", w[2], " x ", w[3], " with dilation ",
             g.dilation, " reaches ", reach_h, " x ", reach_w, ", more than images ", x, " with padding ",
             to_string(g.padding), "; the output would be empty");
  return {.pass = pass,
          .dtype = dtype,
          .allow_tf32 = allow_tf32(),
          .n = x[0],
          .c = x[1],
          .h = x[2],
          .w = x[3],
          .o = w[0],
          .kh = w[2],
          .kw = w[3],
          .oh = room_h / g.stride.h + 1,
          .ow = room_w / g.stride.w + 1,
          .groups = g.groups,
          .stride_h = g.stride.h,
          .stride_w = g.stride.w,
          .dilation_h = g.dilation.h,
          .dilation_w = g.dilation.w,
          .top = g.padding.top,
          .bottom = g.padding.bottom,
          .left = g.padding.left,
          .right = g.padding.right,
          .x_data = nullptr,
          .w_data = nullptr,
          .y_data = nullptr,
          .bias = nullptr};
}

void check_operands(const char* operation, const Tensor& a, const Tensor& b) {
  check_floating(operation, a);
  check_same_device(operation, a, b);
  WEFT_CHECK(DtypeError, a.dtype() == b.dtype(), operation, ": dtypes ", a.dtype(), " and ", b.dtype(),
             " differ; convert one with .to(dtype)");
}

Shape output_shape(const Conv2dArgs& args) { return {args.n, args.o, args.oh, args.ow}; }

void check_output(const char* operation, const Tensor& dy, const Conv2dArgs& args) {
  WEFT_CHECK(ShapeError, dy.shape() == output_shape(args), operation,
             ": the gradient must have the shape of the output, ", output_shape(args), ", got ", dy.shape());
}

Tensor empty_images(const Shape& shape, const Tensor& like) {
  return empty(shape, {.dtype = like.dtype(), .device = like.device()}, Layout::channels_last);
}

Tensor packed(const Tensor& x) { return contiguous(x, Layout::channels_last); }

void run(const Conv2dArgs& args, Device device) { conv2d_kernel(args, current_stream(device)); }

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const Conv2dGeometry& geometry) {
  check_operands("conv2d", x, w);
  Conv2dArgs args = arguments("conv2d", ConvPass::forward, x.dtype(), x.shape(), w.shape(), geometry);
  Tensor dense_bias;
  if (bias.defined()) {
    check_operands("conv2d", x, bias);
    WEFT_CHECK(ShapeError, bias.shape() == Shape{args.o}, "conv2d: the bias must have one value per output channel, ",
               Shape{args.o}, ", got ", bias.shape());
    dense_bias = contiguous(bias);
    args.bias = dense_bias.raw();
  }
  Tensor y = empty_images(output_shape(args), x);
  if (y.numel() == 0) return y;
  const Tensor images = packed(x), filter = packed(w);
  args.x_data = images.raw();
  args.w_data = filter.raw();
  args.y_data = y.raw();
  profile_work(conv2d_kernel, images, filter, dense_bias, y);
  run(args, x.device());
  return y;
}

Tensor conv2d_input_gradient(const Tensor& dy, const Tensor& w, const Shape& x_shape, const Conv2dGeometry& geometry) {
  constexpr const char* operation = "conv2d_input_gradient";
  check_operands(operation, dy, w);
  Conv2dArgs args = arguments(operation, ConvPass::data, dy.dtype(), x_shape, w.shape(), geometry);
  check_output(operation, dy, args);
  Tensor dx = empty_images(x_shape, dy);
  if (dx.numel() == 0) return dx;
  const Tensor gradient = packed(dy), filter = packed(w);
  args.x_data = dx.raw();
  args.w_data = filter.raw();
  args.y_data = gradient.raw();
  profile_work_as(operation, conv2d_kernel, gradient, filter, dx);
  run(args, dy.device());
  return dx;
}

Tensor conv2d_weight_gradient(const Tensor& x, const Tensor& dy, const Shape& w_shape, const Conv2dGeometry& geometry) {
  constexpr const char* operation = "conv2d_weight_gradient";
  check_operands(operation, x, dy);
  Conv2dArgs args = arguments(operation, ConvPass::filter, x.dtype(), x.shape(), w_shape, geometry);
  check_output(operation, dy, args);
  Tensor dw = empty_images(w_shape, x);
  if (args.n == 0) {
    fill(dw, 0);
    return dw;
  }
  const Tensor images = packed(x), gradient = packed(dy);
  args.x_data = images.raw();
  args.w_data = dw.raw();
  args.y_data = gradient.raw();
  profile_work_as(operation, conv2d_kernel, images, gradient, dw);
  run(args, x.device());
  return dw;
}

}  // namespace ops
}  // namespace weft
