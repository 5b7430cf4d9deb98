// Convolutions by cuDNN; what it has no plan for, by weft's plain kernels.
#include "weft/tensor/ops/conv2d.h"

#include <algorithm>

#include "weft/cuda/dnn.h"
#include "weft/cuda/leased.h"
#include "weft/cuda/ops/conv2d_plain.h"
#include "weft/cuda/options.h"
#include "weft/cuda/workspace.h"
#include "weft/tensor/ops/copy.h"

namespace weft::cuda {

namespace {

// Whether a bias is worth a plan with it. For strict f32 such plans come last in cuDNN's ranking and reorder x into a
// workspace (9.x, for an H100): there a kernel after a plan without bias is the shorter way.
bool fuses_bias(const Conv2dArgs& args) { return args.bias && (args.dtype != DType::f32 || args.allow_tf32); }

// By cuDNN, bias and all; false if it has no such plan. The device is current.
bool by_whole_plan(const Conv2dArgs& args, Dnn& dnn, Stream stream) {
  const std::optional<ConvPlan>& plan = dnn.plan(describe(args, nondeterministic_convolution())).plan;
  if (!plan) return false;
  const Workspace workspace(static_cast<size_t>(plan->workspace), stream);
  run_plan(*plan, dnn.handle(), {args.x_data, args.w_data, args.y_data, const_cast<void*>(args.bias)},
           workspace.data());
  return true;
}

// By cuDNN as far as it has plans: the bias after it, if there is none with it.
void by_plan(const Conv2dArgs& args, Dnn& dnn, Stream stream) {
  Conv2dArgs unbiased = args;
  unbiased.bias = nullptr;
  if (!by_whole_plan(unbiased, dnn, stream)) return conv2d_plain(args, stream);
  if (args.bias) conv2d_bias(args, stream);
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
    if (fuses_bias(part) && by_whole_plan(part, dnn, stream)) continue;
    rounds_twice ? by_plan_rounding_once(part, dnn, stream) : by_plan(part, dnn, stream);
  }
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(conv2d_kernel, conv2d); }
