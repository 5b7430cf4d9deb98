#include "weft/nn/models/u_net.h"

#include "weft/autograd/ops/concat.h"
#include "weft/autograd/ops/max_pool2d.h"
#include "weft/autograd/ops/resize.h"
#include "weft/nn/init.h"

namespace weft::models {

namespace {

int64_t first_width(const UNetOptions& options) {
  WEFT_CHECK(ShapeError, !options.widths.empty(), "UNet: no widths; give one per level, such as {8, 16, 32, 64}");
  return options.widths.front();
}

}  // namespace

DoubleConv::DoubleConv(int64_t in, int64_t out, bool sync)
    : conv1(in, out, {.kernel = 3, .padding = 1, .bias = false}),
      norm1(out, {.relu = true, .sync = sync}),
      conv2(out, out, {.kernel = 3, .padding = 1, .bias = false}),
      norm2(out, {.relu = true, .sync = sync}) {
  for (const nn::Conv2d* conv : {&conv1, &conv2})
    conv->weight.set(nn::init::kaiming_normal(conv->weight.shape(), nn::init::Fan::in));
}

Tensor DoubleConv::forward(const Tensor& x) const { return norm2(conv2(norm1(conv1(x)))); }

UNet::UNet(const UNetOptions& options) : head(first_width(options), options.classes, {.kernel = 1}) {
  const std::vector<int64_t>& widths = options.widths;
  for (size_t level = 0; level < widths.size(); ++level)
    down.add(level == 0 ? options.in_channels : widths[level - 1], widths[level], options.sync);
  for (size_t level = widths.size() - 1; level-- > 0;)
    up.add(widths[level + 1] + widths[level], widths[level], options.sync);
}

Tensor UNet::forward(const Tensor& x) const {
  std::vector<Tensor> skips;  // [N, widths[level], H >> level, W >> level]
  for (size_t level = 0; level < down.size(); ++level)
    skips.push_back(down[level](level == 0 ? x : max_pool2d(skips.back(), {.kernel = 2})));
  Tensor y = skips.back();
  for (size_t i = 0; i < up.size(); ++i) {
    const Tensor& skip = skips[skips.size() - 2 - i];
    y = up[i](concat({resize(y, Pair(skip.size(2), skip.size(3))), skip}, 1));
  }
  return head(y);
}

}  // namespace weft::models
