// Convolutions by cuDNN; what it has no plan for, by weft's plain kernels.
#include "weft/tensor/ops/conv2d.h"

#include <algorithm>

#include "weft/cuda/dnn.h"
#include "weft/cuda/leased.h"
#include "weft/cuda/ops/conv2d_plain.h"
#include "weft/cuda/options.h"
#include "weft/cuda/workspace.h"

namespace weft::cuda {

namespace {

// By cuDNN if it has a plan. The device is current.
void by_plan(const Conv2dArgs& args, Dnn& dnn, Stream stream) {
  const std::optional<ConvPlan>& plan = dnn.plan(describe(args, nondeterministic_convolution())).plan;
  if (!plan) return conv2d_plain(args, stream);
  const Workspace workspace(static_cast<size_t>(plan->workspace), stream);
  run_plan(*plan, dnn.handle(), args.x_data, args.w_data, args.y_data, workspace.data());
  if (args.bias) conv2d_bias(args, stream);
}

void conv2d(const Conv2dArgs& args, Stream stream) {
  const int64_t images = plain_convolution() ? 0 : images_at_once(args);
  if (images == 0) return conv2d_plain(args, stream);
  const DeviceScope device(stream.device.index);
  Dnn& dnn = leased<Dnn>(stream.device.index);
  note_operation(stream.device.index, "conv2d");
  check(cudnnSetStream(dnn.handle(), native(stream)), "conv2d");
  for (int64_t first = 0; first < args.n; first += images)
    by_plan(images_of(args, first, std::min(images, args.n - first)), dnn, stream);
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(conv2d_kernel, conv2d); }
