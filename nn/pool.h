// Pooling, resizing and flattening as layers.
#pragma once

#include "weft/autograd/ops/max_pool2d.h"
#include "weft/autograd/ops/resize.h"
#include "weft/nn/module.h"

namespace weft::nn {

class MaxPool2d : public Layer {
 public:
  explicit MaxPool2d(const MaxPool2dOptions& options) : options_(options) {}
  /// [N, C, H, W] -> [N, C, oh, ow]
  Tensor forward(const Tensor& x) const override { return max_pool2d(x, options_); }

 private:
  MaxPool2dOptions options_;
};

/// Bilinear, by a whole factor: [N, C, H, W] -> [N, C, factor H, factor W].
class Upsample : public Layer {
 public:
  explicit Upsample(int64_t factor, const ResizeOptions& options = {}) : factor_(factor), options_(options) {
    WEFT_CHECK(ShapeError, factor > 0, "Upsample: factor ", factor, "; it must be positive");
  }
  Tensor forward(const Tensor& x) const override {
    return resize(x, Pair(x.size(-2) * factor_, x.size(-1) * factor_), options_);
  }

 private:
  int64_t factor_;
  ResizeOptions options_;
};

/// [N, d…] -> [N, product of d], in logical order.
class Flatten : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return x.flatten(1); }
};

}  // namespace weft::nn
