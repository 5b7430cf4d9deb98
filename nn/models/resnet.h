// ResNet (He et al. 2015) as a backbone: stages of residual blocks, optionally dilated so that the last stage keeps an
// eighth of the input's resolution. Parameters are named as in torchvision.
#pragma once

#include "weft/nn/batch_norm.h"
#include "weft/nn/conv2d.h"
#include "weft/nn/sequential.h"

namespace weft::models {

/// Stems and shortcuts (He et al. 2018, "Bag of tricks"): v1b a 7x7 convolution, as torchvision; v1c three 3x3 ones of
/// 32, 32, 64 channels; v1s of 64, 64, 128; v1d as v1c, and shortcuts average before their 1x1 convolution.
enum class ResNetVariant : uint8_t { v1b, v1c, v1s, v1d };

struct ResNetOptions {
  int depth = 50;  ///< 18, 34, 50, 101 or 152
  ResNetVariant variant = ResNetVariant::v1b;
  bool dilated = true;           ///< stages 3 and 4 keep their resolution and dilate by 2 and 4
  bool sync = true;              ///< batch norm over the batch of all devices
  bool zero_last_gamma = false;  ///< residual branches start as zero
};

/// The results of the four stages, [N, channels, H / s, W / s], rounded up, of which heads and decoders read what they
/// need. Channels: channels(1) … channels(4).
struct Features {
  Tensor c1, c2;  ///< s = 4 and 8
  Tensor c3, c4;  ///< s = 8 and 8 where dilated, else 16 and 32
};

/// Two 3x3 convolutions (depths 18, 34), or 1x1, 3x3, 1x1 to four times the width, and what enters added to what comes
/// out.
class ResidualBlock : public nn::Layer {
 public:
  struct Shape {
    int64_t in, width;
    bool bottleneck;
    int64_t stride, dilation;
    bool average_shortcut;
  };
  ResidualBlock(const Shape& shape, const ResNetOptions& options);
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override { return "ResidualBlock"; }
  void list_members(nn::MemberList& list) override;

 private:
  nn::Conv2d conv1_;
  nn::BatchNorm2d bn1_;
  nn::Conv2d conv2_;
  nn::BatchNorm2d bn2_;
  std::optional<nn::Conv2d> conv3_;
  std::optional<nn::BatchNorm2d> bn3_;
  std::optional<nn::Sequential> downsample_;
};

class ResNet : public nn::Module {
 public:
  /// Convolutions start normal with deviation sqrt(2 / fan_out). Throws Error on another depth.
  explicit ResNet(const ResNetOptions& options = {});
  /// x [N, 3, H, W]
  Features forward(const Tensor& x) const;
  /// Of the result of stage 1 … 4.
  int64_t channels(int stage) const { return channels4_ >> (4 - stage); }
  std::string describe() const override { return "ResNet-" + std::to_string(options_.depth); }
  void list_members(nn::MemberList& list) override;

 private:
  void add_stage(nn::Sequential& stage, int blocks, int64_t width, int64_t stride, int64_t first_dilation,
                 int64_t dilation);

  ResNetOptions options_;
  int64_t channels4_ = 0, width_in_ = 64;
  std::unique_ptr<nn::Layer> conv1_;
  std::unique_ptr<nn::BatchNorm2d> bn1_;
  nn::Sequential layer1_, layer2_, layer3_, layer4_;
};

}  // namespace weft::models
