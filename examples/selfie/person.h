// Where a person is in a picture: MediaPipe's selfie segmentation (106,401 parameters) with its published weights.
#pragma once

#include <weft/autograd/ops/avg_pool2d.h>
#include <weft/autograd/ops/conv2d.h>
#include <weft/autograd/ops/conv_transpose2d.h>
#include <weft/autograd/ops/resize.h>
#include <weft/autograd/ops/unary.h>
#include <weft/nn/safetensors.h>
#include <weft/tensor/operators.h>

#include <map>
#include <string>

class PersonNet {
 public:
  static constexpr int64_t side = 256;

  /// Tensors conv0.weight, conv0.bias … conv54.bias; batch norms are folded into them.
  explicit PersonNet(const std::string& path) {
    const weft::nn::SafetensorsFile file(path);
    for (const auto& entry : file.header().tensors) tensors_[entry.name] = file.load(entry.name).to(weft::DType::f32);
  }

  /// RGB in [0, 1], [N, 3, 256, 256] -> probability of a person [N, 1, 256, 256]. Numbers are those of convolutions.
  weft::Tensor forward(const weft::Tensor& x) const {
    using namespace weft;
    const Tensor half = swish(conv(x, 0, 2));                                              // [N, 16, 128, 128]
    const Tensor quarter = conv(squeeze(depthwise_relu(conv_relu(half, 1), 2, 2), 3), 5);  // [N, 16, 64, 64]
    const Tensor narrow = conv(depthwise_relu(conv_relu(quarter, 6), 7, 2), 8);            // [N, 24, 32, 32]
    const Tensor eighth = conv(depthwise_relu(conv_relu(narrow, 9), 10), 11) + narrow;
    Tensor y = conv(squeeze(swish(depthwise(swish(conv(eighth, 12)), 13, 2)), 14), 16);  // [N, 32, 16, 16]
    for (const int k : {17, 22, 27, 32})
      y = conv(squeeze(swish(depthwise(swish(conv(y, k)), k + 1)), k + 2), k + 4) + y;
    y = conv_relu(y, 37) * sigmoid(conv(global_avg_pool2d(y), 38));  // [N, 128, 16, 16]
    y = merge(half, merge(quarter, merge(eighth, y, 39), 44), 49);   // [N, 16, 128, 128]
    return sigmoid(conv_transpose2d(y, at("conv54.weight"), {.stride = 2, .bias = at("conv54.bias")}));
  }

 private:
  using Tensor = weft::Tensor;

  const Tensor& at(const std::string& name) const { return tensors_.at(name); }
  static Tensor swish(const Tensor& x) { return x * weft::clamp(x + 3, 0, 6) * (1 / 6.0); }

  /// Output pixel i looks at the same place whatever the kernel: for stride 2 the odd pixel of padding is at the end.
  Tensor conv(const Tensor& x, int number, int64_t stride = 1, int64_t groups = 1, bool relu = false) const {
    const std::string name = "conv" + std::to_string(number);
    const Tensor& weight = at(name + ".weight");
    const int64_t all = weight.size(2) - stride, before = all > 0 ? all / 2 : 0, after = all > 0 ? all - before : 0;
    return weft::conv2d(x, weight,
                        {.stride = stride,
                         .padding = {before, after, before, after},
                         .groups = groups,
                         .bias = at(name + ".bias"),
                         .relu = relu});
  }
  Tensor conv_relu(const Tensor& x, int number) const { return conv(x, number, 1, 1, true); }
  Tensor depthwise(const Tensor& x, int number, int64_t stride = 1) const { return conv(x, number, stride, x.size(1)); }
  Tensor depthwise_relu(const Tensor& x, int number, int64_t stride = 1) const {
    return conv(x, number, stride, x.size(1), true);
  }
  /// Two layers on each channel's mean.
  Tensor gate(const Tensor& x, int number) const {
    return weft::sigmoid(conv(conv_relu(weft::global_avg_pool2d(x), number), number + 1));
  }
  Tensor squeeze(const Tensor& x, int number) const { return x * gate(x, number); }
  /// The way up: y at twice its size, and what of `skip` the gate lets through.
  Tensor merge(const Tensor& skip, const Tensor& y, int number) const {
    const Tensor up = conv(weft::resize(y, weft::Pair(skip.size(2), skip.size(3))), number);
    const Tensor joined = conv_relu(skip * gate(skip + up, number + 1) + up, number + 3);
    return joined + depthwise_relu(joined, number + 4);
  }

  std::map<std::string, Tensor> tensors_;
};
