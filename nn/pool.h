// Pooling, resizing and flattening as layers.
#pragma once

#include "weft/autograd/ops/avg_pool2d.h"
#include "weft/autograd/ops/max_pool2d.h"
#include "weft/autograd/ops/resize.h"
#include "weft/nn/module.h"

namespace weft::nn {

namespace detail {
/// "MaxPool2d(kernel 3x3, stride 2x2)"
inline std::string describe_pool(const char* name, Pair kernel, Pair stride) {
  const Pair step{stride.h ? stride.h : kernel.h, stride.w ? stride.w : kernel.w};
  return weft::detail::concat(name, "(kernel ", kernel.h, "x", kernel.w, ", stride ", step.h, "x", step.w, ")");
}
}  // namespace detail

class MaxPool2d : public Layer {
 public:
  explicit MaxPool2d(const MaxPool2dOptions& options) : options_(options) {}
  /// [N, C, H, W] -> [N, C, oh, ow]
  Tensor forward(const Tensor& x) const override { return max_pool2d(x, options_); }
  std::string describe() const override { return detail::describe_pool("MaxPool2d", options_.kernel, options_.stride); }

 private:
  MaxPool2dOptions options_;
};

class AvgPool2d : public Layer {
 public:
  explicit AvgPool2d(const AvgPool2dOptions& options) : options_(options) {}
  /// [N, C, H, W] -> [N, C, oh, ow]
  Tensor forward(const Tensor& x) const override { return avg_pool2d(x, options_); }
  std::string describe() const override { return detail::describe_pool("AvgPool2d", options_.kernel, options_.stride); }

 private:
  AvgPool2dOptions options_;
};

/// Means over windows that divide the image as evenly as they can: [N, C, H, W] -> [N, C, size.h, size.w].
class AdaptiveAvgPool2d : public Layer {
 public:
  explicit AdaptiveAvgPool2d(Pair size) : size_(size) {}
  Tensor forward(const Tensor& x) const override { return adaptive_avg_pool2d(x, size_); }
  std::string describe() const override {
    return weft::detail::concat("AdaptiveAvgPool2d(", size_.h, "x", size_.w, ")");
  }

 private:
  Pair size_;
};

/// Bilinear or nearest, by a whole factor: [N, C, H, W] -> [N, C, factor H, factor W].
class Upsample : public Layer {
 public:
  explicit Upsample(int64_t factor, const ResizeOptions& options = {}) : factor_(factor), options_(options) {
    WEFT_CHECK(ShapeError, factor > 0, "Upsample: factor ", factor, "; it must be positive");
  }
  Tensor forward(const Tensor& x) const override {
    return resize(x, Pair(x.size(-2) * factor_, x.size(-1) * factor_), options_);
  }
  std::string describe() const override { return weft::detail::concat("Upsample(x", factor_, ")"); }

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
