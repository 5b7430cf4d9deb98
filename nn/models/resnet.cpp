#include "weft/nn/models/resnet.h"

#include <array>

#include "weft/autograd/ops/avg_pool2d.h"
#include "weft/autograd/ops/max_pool2d.h"
#include "weft/nn/activation.h"
#include "weft/nn/init.h"

namespace weft::models {

namespace {

nn::Conv2dOptions conv3x3(int64_t stride, int64_t dilation) {
  return {.kernel = 3, .stride = stride, .padding = dilation, .dilation = dilation, .bias = false};
}
nn::Conv2dOptions conv1x1(int64_t stride = 1) { return {.kernel = 1, .stride = stride, .bias = false}; }

// The mean over windows of stride x stride; what hangs over the edge counts only its pixels.
class AverageDown : public nn::Layer {
 public:
  explicit AverageDown(int64_t stride) : stride_(stride) {}
  Tensor forward(const Tensor& x) const override {
    if (stride_ == 1) return x;
    return avg_pool2d(x, {.kernel = stride_, .stride = stride_, .ceil_mode = true, .count_include_pad = false});
  }
  std::string describe() const override { return weft::detail::concat("AverageDown(", stride_, ")"); }

 private:
  int64_t stride_;
};

std::array<int, 4> blocks_of(int depth) {
  switch (depth) {
    case 18:
      return {2, 2, 2, 2};
    case 34:
    case 50:
      return {3, 4, 6, 3};
    case 101:
      return {3, 4, 23, 3};
    case 152:
      return {3, 8, 36, 3};
    default:
      fail("ResNet: depth ", depth, "; there are 18, 34, 50, 101 and 152");
  }
}

// The three convolutions of a deep stem; the last one's batch norm is bn1.
std::unique_ptr<nn::Layer> deep_stem(int64_t width, bool sync) {
  auto stem = std::make_unique<nn::Sequential>();
  stem->add<nn::Conv2d>(3, width, conv3x3(2, 1));
  stem->add<nn::BatchNorm2d>(width, nn::BatchNormOptions{.sync = sync});
  stem->add<nn::ReLU>();
  stem->add<nn::Conv2d>(width, width, conv3x3(1, 1));
  stem->add<nn::BatchNorm2d>(width, nn::BatchNormOptions{.sync = sync});
  stem->add<nn::ReLU>();
  stem->add<nn::Conv2d>(width, 2 * width, conv3x3(1, 1));
  return stem;
}

}  // namespace

ResidualBlock::ResidualBlock(const Shape& shape, const ResNetOptions& options)
    : conv1_(shape.in, shape.width, shape.bottleneck ? conv1x1() : conv3x3(shape.stride, shape.dilation)),
      bn1_(shape.width, {.relu = true, .sync = options.sync}),
      conv2_(shape.width, shape.width, conv3x3(shape.bottleneck ? shape.stride : 1, shape.dilation)),
      bn2_(shape.width, {.relu = true, .sync = options.sync}) {
  const int64_t out = shape.bottleneck ? 4 * shape.width : shape.width;
  if (shape.bottleneck) {
    conv3_.emplace(shape.width, out, conv1x1());
    bn3_.emplace(out, nn::BatchNormOptions{.relu = true, .sync = options.sync});
  }
  if (shape.stride != 1 || shape.in != out) {
    nn::Sequential& down = downsample_.emplace();
    if (shape.average_shortcut) down.add<AverageDown>(shape.stride);
    down.add<nn::Conv2d>(shape.in, out, conv1x1(shape.average_shortcut ? 1 : shape.stride));
    down.add<nn::BatchNorm2d>(out, nn::BatchNormOptions{.sync = options.sync});
  }
  if (options.zero_last_gamma) (bn3_ ? *bn3_ : bn2_).weight.set(nn::init::constant({out}, 0));
}

Tensor ResidualBlock::forward(const Tensor& x) const {
  Tensor y = conv2_(bn1_(conv1_(x)));
  if (conv3_) y = (*conv3_)(bn2_(y));
  const Tensor shortcut = downsample_ ? (*downsample_)(x) : x;
  return (bn3_ ? *bn3_ : bn2_).forward(y, shortcut);  // normalised, added, ReLU: one pass
}

void ResidualBlock::list_members(nn::MemberList& list) {
  list.add_all("conv1, bn1, conv2, bn2, conv3, bn3, downsample", conv1_, bn1_, conv2_, bn2_, conv3_, bn3_, downsample_);
}

ResNet::ResNet(const ResNetOptions& options) : options_(options) {
  const std::array<int, 4> blocks = blocks_of(options.depth);
  const bool deep = options.variant != ResNetVariant::v1b;
  if (deep) {
    const int64_t width = options.variant == ResNetVariant::v1s ? 64 : 32;
    conv1_ = deep_stem(width, options.sync);
    width_in_ = 2 * width;
  } else {
    conv1_ =
        std::make_unique<nn::Conv2d>(3, 64, nn::Conv2dOptions{.kernel = 7, .stride = 2, .padding = 3, .bias = false});
  }
  bn1_ = std::make_unique<nn::BatchNorm2d>(width_in_, nn::BatchNormOptions{.relu = true, .sync = options.sync});
  const int64_t stride = options.dilated ? 1 : 2, dilation = options.dilated ? 2 : 1;
  add_stage(layer1_, blocks[0], 64, 1, 1, 1);
  add_stage(layer2_, blocks[1], 128, 2, 1, 1);
  add_stage(layer3_, blocks[2], 256, stride, 1, dilation);
  add_stage(layer4_, blocks[3], 512, stride, dilation, dilation * dilation);
  channels4_ = width_in_;
  apply([](nn::Module& module) {
    if (auto* conv = dynamic_cast<nn::Conv2d*>(&module))
      conv->weight.set(nn::init::kaiming_normal(conv->weight.shape(), nn::init::Fan::out));
  });
}

void ResNet::add_stage(nn::Sequential& stage, int blocks, int64_t width, int64_t stride, int64_t first_dilation,
                       int64_t dilation) {
  const bool bottleneck = options_.depth >= 50;
  for (int block = 0; block < blocks; ++block) {
    stage.add<ResidualBlock>(ResidualBlock::Shape{.in = width_in_,
                                                  .width = width,
                                                  .bottleneck = bottleneck,
                                                  .stride = block == 0 ? stride : 1,
                                                  .dilation = block == 0 ? first_dilation : dilation,
                                                  .average_shortcut = options_.variant == ResNetVariant::v1d},
                             options_);
    width_in_ = bottleneck ? 4 * width : width;
  }
}

Features ResNet::forward(const Tensor& x) const {
  const Tensor stem = max_pool2d((*bn1_)((*conv1_)(x)), {.kernel = 3, .stride = 2, .padding = 1});  // a quarter
  const Tensor c1 = layer1_(stem), c2 = layer2_(c1), c3 = layer3_(c2);
  return {c1, c2, c3, layer4_(c3)};
}

void ResNet::list_members(nn::MemberList& list) {
  list.add_all("conv1, bn1, layer1, layer2, layer3, layer4", conv1_, bn1_, layer1_, layer2_, layer3_, layer4_);
}

}  // namespace weft::models
