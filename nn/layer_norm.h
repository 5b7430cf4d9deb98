// LayerNorm, GroupNorm, InstanceNorm: normalisation of each sample by itself, so that neither the split of a batch nor
// the mode matters.
#pragma once

#include "weft/nn/module.h"

namespace weft::nn {

struct LayerNormOptions {
  double eps = 1e-5;
  bool affine = true;  ///< with weight and bias
};

/// Over the last axes.
class LayerNorm : public Layer {
 public:
  /// `normalized`: the extents of those axes; also the shape of weight and bias.
  explicit LayerNorm(const Shape& normalized, LayerNormOptions options = {});
  /// [..., normalized] -> the same shape
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override;

  Parameter weight, bias;  // undefined unless affine
  WEFT_MEMBERS(weight, bias)

 private:
  Shape normalized_;
  LayerNormOptions options_;
};

/// Over groups of neighbouring channels (Wu and He 2018).
class GroupNorm : public Layer {
 public:
  /// Throws ShapeError unless `groups` divides `channels`.
  GroupNorm(int64_t groups, int64_t channels, LayerNormOptions options = {});
  /// [N, channels, d…] -> the same shape
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override;

  Parameter weight, bias;  // [channels]; undefined unless affine
  WEFT_MEMBERS(weight, bias)

 private:
  int64_t groups_, channels_;
  LayerNormOptions options_;
};

/// Over each channel of each sample (Ulyanov et al. 2016); without running statistics, affine on request as in PyTorch.
class InstanceNorm2d : public Layer {
 public:
  explicit InstanceNorm2d(int64_t channels, LayerNormOptions options = {.affine = false});
  /// [N, channels, d…] -> the same shape
  Tensor forward(const Tensor& x) const override;
  std::string describe() const override;

  Parameter weight, bias;  // [channels]; undefined unless affine
  WEFT_MEMBERS(weight, bias)

 private:
  int64_t channels_;
  LayerNormOptions options_;
};

}  // namespace weft::nn
