// Segmentation nets on a dilated ResNet: FCN (Long et al. 2015), PSPNet (Zhao et al. 2017), DeepLabV3 (Chen et al.
// 2017). FCN and DeepLabV3 have torchvision's parameter names.
#pragma once

#include <tuple>

#include "weft/nn/models/resnet.h"

namespace weft::models {

enum class SegmentationHead : uint8_t { fcn, psp, deeplab };

struct SegmentationNetOptions {
  SegmentationHead head = SegmentationHead::fcn;
  int64_t classes = 21;
  bool aux = true;  ///< a second, small FCN head on the third stage, for training
  ResNetOptions backbone = {};
};

/// The parts of a net by name: "fcn", "psp", "deeplab". Throws Error listing them.
SegmentationHead segmentation_head(const std::string& name);

class SegmentationNet : public nn::Module {
 public:
  explicit SegmentationNet(const SegmentationNetOptions& options = {});
  /// x [N, 3, H, W] -> logits of the head and of the auxiliary head, both [N, classes, H, W]; the second is undefined
  /// without one.
  std::tuple<Tensor, Tensor> forward(const Tensor& x) const;
  /// The head's logits alone.
  Tensor predict(const Tensor& x) const;
  std::string describe() const override { return "SegmentationNet"; }

  ResNet backbone;
  std::unique_ptr<nn::Layer> classifier, aux_classifier;
  WEFT_MEMBERS(backbone, classifier, aux_classifier)
};

/// 3x3 convolution to a quarter of the channels, batch norm, ReLU, dropout, 1x1 convolution to the classes.
class FCNHead : public nn::Layer {
 public:
  FCNHead(int64_t in, int64_t classes, bool sync);
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override { return "FCNHead"; }
  void list_members(nn::MemberList& list) override;

 private:
  nn::Conv2d conv_;
  nn::BatchNorm2d norm_;
  nn::Conv2d score_;
};

/// Means over 1, 2², 3² and 6² parts of the picture, each through a 1x1 convolution and resized, beside the features
/// themselves.
class PSPHead : public nn::Layer {
 public:
  PSPHead(int64_t in, int64_t classes, bool sync);
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override { return "PSPHead"; }
  void list_members(nn::MemberList& list) override;

 private:
  std::vector<std::unique_ptr<nn::Sequential>> pyramid_;
  nn::Conv2d conv_;
  nn::BatchNorm2d norm_;
  nn::Conv2d score_;
};

/// Parallel convolutions of dilation 1, 12, 24, 36 and a global mean, joined, then as in FCN.
class DeepLabHead : public nn::Layer {
 public:
  DeepLabHead(int64_t in, int64_t classes, bool sync);
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override { return "DeepLabHead"; }
  void list_members(nn::MemberList& list) override;

 private:
  std::vector<std::unique_ptr<nn::Sequential>> branches_;
  nn::Sequential project_;
  nn::Conv2d conv_;
  nn::BatchNorm2d norm_;
  nn::Conv2d score_;
};

}  // namespace weft::models
