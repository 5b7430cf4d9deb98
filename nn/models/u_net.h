// U-Net (Ronneberger, Fischer and Brox, 2015): an encoder that halves, a decoder that doubles, skips between them.
#pragma once

#include <vector>

#include "weft/nn/batch_norm.h"
#include "weft/nn/conv2d.h"
#include "weft/nn/sequential.h"

namespace weft::models {

struct UNetOptions {
  int64_t in_channels = 1;
  int64_t classes = 2;
  /// Channels of each level, from full resolution down; each further level halves the picture.
  std::vector<int64_t> widths = {8, 16, 32, 64};
  bool sync = true;  ///< batch norm over the batch of all devices
};

/// Twice: 3x3 convolution without bias, batch norm, ReLU.
class DoubleConv : public nn::Layer {
 public:
  DoubleConv(int64_t in, int64_t out, bool sync);
  /// [N, in, H, W] -> [N, out, H, W]
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override { return "DoubleConv"; }

  nn::Conv2d conv1;
  nn::BatchNorm2d norm1;
  nn::Conv2d conv2;
  nn::BatchNorm2d norm2;
  WEFT_MEMBERS(conv1, norm1, conv2, norm2)
};

/// Max pooling down, bilinear resizing up, the skip joined on before each double convolution of the way up. The
/// defaults have 122,330 parameters.
class UNet : public nn::Layer {
 public:
  /// Convolutions start normal with deviation sqrt(2 / fan_in) (He et al. 2015). Throws ShapeError on no widths.
  explicit UNet(const UNetOptions& options = {});
  /// [N, in_channels, H, W] -> logits [N, classes, H, W]; any H and W that the levels leave at least one pixel of.
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override { return "UNet"; }

  nn::ModuleList<DoubleConv> down;  // one per level
  nn::ModuleList<DoubleConv> up;    // from the last level but one to the first
  nn::Conv2d head;
  WEFT_MEMBERS(down, up, head)
};

}  // namespace weft::models
