// Products and convolutions beside bare oneDNN with the same threads, channels-last activations and the library's own
// choice of weights layout: what weft adds to the library's time.
#include "tests/bench/support/bare_onednn.h"
#include "tests/bench/support/bench.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::bench;

namespace {

void product(int64_t n) {
  const Tensor a = randn({n, n}), b = randn({n, n});
  BareProduct bare(n);
  row("product of " + std::to_string(n), interleave([&] { matmul(a, b); }, [&] { bare.run(); }, 9, 0.05), "<= 1.03");
}

struct Case {
  const char* name;
  int64_t n, c, size, o, kernel, stride, padding, dilation;
};

void convolution(const Case& k) {
  const Tensor x = randn({k.n, k.c, k.size, k.size}).contiguous(Layout::channels_last);
  const Tensor w = randn({k.o, k.c, k.kernel, k.kernel}).contiguous(Layout::channels_last);
  const Conv2dOptions options{.stride = k.stride, .padding = k.padding, .dilation = k.dilation};
  BareConvolution bare(k.n, k.c, k.size, k.o, k.kernel, k.stride, k.padding, k.dilation);
  row(std::string("conv ") + k.name + ", forward",
      interleave([&] { conv2d(x, w, options); }, [&] { bare.forward(); }, 9, 0.05), "<= 1.05");
  const Tensor tracked_x = x.clone().attach_grad(), tracked_w = w.clone().attach_grad();
  const Tensor dy = ones_like(conv2d(x, w, options));
  const bool image = k.c == 3;  // nobody wants the gradient of the picture
  row(std::string("conv ") + k.name + ", forward + backward",
      interleave(
          [&] {
            Tensor y;
            {
              const autograd::Record record;
              y = conv2d(image ? x : tracked_x, tracked_w, options);
            }
            y.backward({.head_grads = {dy}});
          },
          [&] {
            bare.forward();
            bare.backward_weights();
            if (!image) bare.backward_data();
          },
          9, 0.05),
      image ? "<= 1.1" : "<= 1.05");
}

// The ReLU in the convolution beside one after it.
void rectified(const Case& k) {
  const Tensor x = randn({k.n, k.c, k.size, k.size}).contiguous(Layout::channels_last);
  const Tensor w = randn({k.o, k.c, k.kernel, k.kernel}).contiguous(Layout::channels_last), bias = randn({k.o});
  const Conv2dOptions apart{.stride = k.stride, .padding = k.padding, .dilation = k.dilation, .bias = bias};
  Conv2dOptions fused = apart;
  fused.relu = true;
  row(std::string("conv ") + k.name + ", relu in it",
      interleave([&] { conv2d(x, w, fused); }, [&] { relu(conv2d(x, w, apart)); }, 9, 0.05), "<= 1 of relu after it");
}

}  // namespace

int main() {
  heading("what", "weft", "bare oneDNN");
  for (const int64_t n : {256, 1024, 2048}) product(n);
  convolution({"4x64x56x56, 64 of 3x3", 4, 64, 56, 64, 3, 1, 1, 1});
  convolution({"4x256x28x28, 256 of 3x3, dilation 2", 4, 256, 28, 256, 3, 1, 2, 2});
  convolution({"4x3x224x224, 64 of 7x7, stride 2", 4, 3, 224, 64, 7, 2, 3, 1});
  heading("what", "in it", "after it");
  rectified({"4x64x56x56, 64 of 3x3", 4, 64, 56, 64, 3, 1, 1, 1});
  rectified({"4x64x56x56, 256 of 1x1", 4, 64, 56, 256, 1, 1, 0, 1});
}
