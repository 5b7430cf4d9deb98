// Convolutions by cuDNN; what it has no plan for, by weft's plain kernels.
#include "weft/tensor/ops/conv2d.h"

#include <algorithm>

#include "weft/cuda/dnn.h"
#include "weft/cuda/leased.h"
#include "weft/cuda/ops/conv2d_plain.h"
#include "weft/cuda/options.h"
#include "weft/cuda/workspace.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/unary.h"
#include "weft/tensor/tuning.h"

namespace weft::cuda {

namespace {

// Whether bias and ReLU are worth a plan with them. For strict f32 such plans come last in cuDNN's ranking and reorder
// x into a workspace (9.x, for an H100): there a kernel after a plan without them is the shorter way. A ReLU without a
// bias has none but engines that cuDNN compiles at run time.
bool fuses(const Conv2dArgs& args) { return args.bias && (args.dtype != DType::f32 || args.allow_tf32); }

// y = max(y, 0). A result that is rounded already is not rounded again.
void rectify(const Conv2dArgs& args, Stream stream) {
  const int64_t numel = args.n * args.oh * args.ow * args.o;
  unary_kernel({UnaryOp::relu, 0, args.dtype, 0, 0, numel, args.y_data, nullptr, nullptr, args.y_data}, stream);
}

// By cuDNN, bias, ReLU and all; false if it has no such plan. The device is current.
bool by_whole_plan(const Conv2dArgs& args, Dnn& dnn, Stream stream) {
  const ConvOperands operands{args.x_data, args.w_data, args.y_data, const_cast<void*>(args.bias)};
  const auto& plan = dnn.plan(describe(args, nondeterministic_convolution()), operands, stream).plan;
  if (!plan) return false;
  const Workspace workspace(static_cast<size_t>(plan->workspace), stream);
  run_plan(*plan, dnn.handle(), operands, workspace.data());
  return true;
}

// By one plan with the bias, and the ReLU in it or after it; false if there is none.
bool by_fused_plan(const Conv2dArgs& args, Dnn& dnn, Stream stream) {
  if (by_whole_plan(args, dnn, stream)) return true;
  Conv2dArgs linear = args;
  linear.relu = false;
  if (!args.relu || !by_whole_plan(linear, dnn, stream)) return false;
  rectify(args, stream);
  return true;
}

// By cuDNN as far as it has plans: bias and ReLU after it.
void by_plan(const Conv2dArgs& args, Dnn& dnn, Stream stream) {
  Conv2dArgs bare = args;
  bare.bias = nullptr;
  bare.relu = false;
  if (!by_whole_plan(bare, dnn, stream)) return conv2d_plain(args, stream);
  if (args.bias) return conv2d_bias(args, stream);
  if (args.relu) rectify(args, stream);
}

// A 16-bit forward pass with bias must round once, after the bias. Operands of 16 bits are exact in TF32, so the pass
// runs on their f32 copies at the rate of TF32, and its f32 result takes the bias before it is rounded.
void by_plan_rounding_once(const Conv2dArgs& args, Dnn& dnn, Stream stream) {
  const auto widen = [&](const void* from, const Workspace& to, int64_t numel) {
    copy_kernel({args.dtype, DType::f32, numel, from, to.data(), nullptr}, stream);
  };
  const int64_t xs = args.n * args.h * args.w * args.c, ys = args.n * args.oh * args.ow * args.o;
  const int64_t ws = args.o * args.kh * args.kw * (args.c / args.groups);
  const auto space = [&](int64_t numel) { return Workspace(static_cast<size_t>(numel) * sizeof(float), stream); };
  const Workspace x = space(xs), w = space(ws), y = space(ys), bias = space(args.o);
  widen(args.x_data, x, xs);
  widen(args.w_data, w, ws);
  widen(args.bias, bias, args.o);
  Conv2dArgs wide = args;
  wide.dtype = DType::f32;
  wide.allow_tf32 = true;
  wide.x_data = x.data();
  wide.w_data = w.data();
  wide.y_data = y.data();
  wide.bias = bias.data();
  by_plan(wide, dnn, stream);
  copy_kernel({DType::f32, args.dtype, ys, y.data(), args.y_data, nullptr}, stream);
}

void conv2d(const Conv2dArgs& args, Stream stream) {
  const int64_t images = plain_convolution() ? 0 : images_at_once(args);
  if (images == 0) return conv2d_plain(args, stream);
  const DeviceScope device(stream.device.index);
  Dnn& dnn = leased<Dnn>(stream.device.index);
  note_operation(stream.device.index, "conv2d");
  check(cudnnSetStream(dnn.handle(), native(stream)), "conv2d");
  const bool rounds_twice = args.bias && size_of(args.dtype) == 2;
  for (int64_t first = 0; first < args.n; first += images) {
    const Conv2dArgs part = images_of(args, first, std::min(images, args.n - first));
    if (fuses(part) && by_fused_plan(part, dnn, stream)) continue;
    rounds_twice ? by_plan_rounding_once(part, dnn, stream) : by_plan(part, dnn, stream);
  }
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(conv2d_kernel, conv2d); }
