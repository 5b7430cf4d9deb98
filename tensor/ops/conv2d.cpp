#include "weft/tensor/ops/conv2d.h"

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/matmul.h"
#include "weft/tensor/ops/view.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"
#include "weft/tensor/tuning.h"

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
          .bias = nullptr,
          .relu = false};
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

// The taps of an axis of the filter that ever meet the image, first … last - 1, with the padding that they need.
struct Taps {
  int64_t first, last, before, after;
};

// A tap meets rows from p * dilation - before on, one for each output. Taps at both ends that only meet padding are
// left out, as long as what remains is a convolution with padding and as many outputs.
Taps live_taps(int64_t taps, int64_t extent, int64_t outputs, int64_t stride, int64_t dilation, int64_t before,
               int64_t after) {
  Taps live{0, taps, before, after};
  const int64_t span = (outputs - 1) * stride;  // from the first output's row to the last one's
  while (live.last - live.first > 1 && span - live.before < 0 && live.before >= dilation)
    ++live.first, live.before -= dilation;
  while (live.last - live.first > 1 && (live.last - live.first - 1) * dilation - live.before >= extent) --live.last;
  const int64_t needed = span + (live.last - live.first - 1) * dilation + 1 - extent - live.before;
  if (needed < 0) return {0, taps, before, after};
  live.after = needed;
  return live;
}

// The part of a filter that meets the image. Wide dilations on small images, as in DeepLabV3's head, leave the middle
// tap alone.
struct LivePart {
  Taps h, w;
  bool whole;

  explicit LivePart(const Conv2dArgs& a)
      : h(live_taps(a.kh, a.h, a.oh, a.stride_h, a.dilation_h, a.top, a.bottom)),
        w(live_taps(a.kw, a.w, a.ow, a.stride_w, a.dilation_w, a.left, a.right)),
        whole(h.last - h.first == a.kh && w.last - w.first == a.kw) {}

  Tensor of(const Tensor& filter) const {
    return whole ? filter : slice(slice(filter, 2, h.first, h.last), 3, w.first, w.last);
  }
  void restrict(Conv2dArgs& a) const {
    if (whole) return;
    a.kh = h.last - h.first, a.top = h.before, a.bottom = h.after;
    a.kw = w.last - w.first, a.left = w.before, a.right = w.after;
  }
};

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const Conv2dGeometry& geometry, bool relu) {
  check_operands("conv2d", x, w);
  Conv2dArgs args = arguments("conv2d", ConvPass::forward, x.dtype(), x.shape(), w.shape(), geometry);
  args.relu = relu;
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
  const LivePart live(args);
  live.restrict(args);
  const Tensor images = packed(x), filter = packed(live.of(w));
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
  const LivePart live(args);
  live.restrict(args);
  const Tensor gradient = packed(dy), filter = packed(live.of(w));
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
  const LivePart live(args);
  if (args.n == 0 || !live.whole) fill(dw, 0);
  if (args.n == 0) return dw;
  live.restrict(args);
  const Tensor part = live.whole ? dw : empty_images({args.o, w_shape[1], args.kh, args.kw}, x);
  const Tensor images = packed(x), gradient = packed(dy);
  args.x_data = images.raw();
  args.w_data = part.raw();
  args.y_data = gradient.raw();
  profile_work_as(operation, conv2d_kernel, images, gradient, dw);
  run(args, x.device());
  if (!live.whole) copy(live.of(dw), part);
  return dw;
}

}  // namespace ops
}  // namespace weft
