// Max pooling: padding, dilation, hanging windows, ties, infinities and NaN.
#include "weft/autograd/ops/max_pool2d.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/record_scope.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

OpFunction with(const MaxPool2dOptions& options) {
  return [options](const Tensors& v) { return max_pool2d(v[0], options); };
}

// Every pixel of the output looks at every pixel of the input.
Reference naive(const MaxPool2dOptions& o, int64_t height, int64_t width) {
  return [o, height, width](const Arrays& v) {
    const Array& x = v[0];
    const Pair stride = o.stride == Pair(0) ? o.kernel : o.stride;
    const auto in_window = [](int64_t i, int64_t out, int64_t k, int64_t s, int64_t p, int64_t d) {
      const int64_t from_start = i - (out * s - p);
      return from_start >= 0 && from_start % d == 0 && from_start / d < k;
    };
    Array y({x.size(0), x.size(1), height, width}, -inf);
    for (int64_t n = 0; n < x.size(0); ++n)
      for (int64_t c = 0; c < x.size(1); ++c)
        for (int64_t i = 0; i < height; ++i)
          for (int64_t j = 0; j < width; ++j)
            for (int64_t h = 0; h < x.size(2); ++h)
              for (int64_t w = 0; w < x.size(3); ++w)
                if (in_window(h, i, o.kernel.h, stride.h, o.padding.h, o.dilation.h) &&
                    in_window(w, j, o.kernel.w, stride.w, o.padding.w, o.dilation.w))
                  y(n, c, i, j) = std::max(y(n, c, i, j), x(n, c, h, w));
    return y;
  };
}

Input image(const Shape& shape) { return input(shape).distinct(); }

}  // namespace

OP_TABLE(max_pool2d) {
  const MaxPool2dOptions two{.kernel = 2}, resnet{.kernel = 3, .stride = 2, .padding = 1},
      over{.kernel = 3, .stride = 1, .padding = 1};
  const MaxPool2dOptions oblong{.kernel = {2, 3}, .stride = {1, 2}, .padding = {1, 0}},
      dilated{.kernel = 2, .stride = 1, .dilation = {2, 3}};
  const MaxPool2dOptions gaps{.kernel = 1, .stride = 2}, hanging{.kernel = 2, .stride = 2, .ceil_mode = true};
  const MaxPool2dOptions corner{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true};
  table.op("max_pool2d")
      .row("2x2", {image({2, 3, 4, 6})}, with(two), naive(two, 2, 3))
      .row("3x3 stride 2 padding 1", {image({1, 2, 7, 8})}, with(resnet), naive(resnet, 4, 4))
      .row("overlapping", {image({1, 3, 5, 4})}, with(over), naive(over, 5, 4))
      .row("many channels", {image({1, 70, 3, 3})}, with(over), naive(over, 3, 3))
      .row("kernel, stride, padding by side", {image({2, 2, 4, 7})}, with(oblong), naive(oblong, 5, 3))
      .row("dilated", {image({1, 2, 5, 6})}, with(dilated), naive(dilated, 3, 3))
      .row("pixels in no window", {image({1, 2, 5, 5})}, with(gaps), naive(gaps, 3, 3))
      .row("hanging windows", {image({1, 2, 5, 3})}, with(hanging), naive(hanging, 3, 2))
      .row("no window that starts in the padding", {image({1, 1, 4, 5})}, with(corner), naive(corner, 3, 3))
      .row("ties", {input({1, 2, 6, 6}).integers(0, 2)}, with(two), naive(two, 3, 3),
           {.exact = true, .no_gradient = "kinks: the test case below says where ties go"})
      .row("no samples", {input({0, 2, 4, 4})}, with(two), naive(two, 2, 2))
      .row("no channels", {input({2, 0, 4, 4})}, with(two), naive(two, 2, 2))
      .error<ShapeError>("rank", "max_pool2d: expected [N, C, H, W], got shape [2, 2]",
                         [] {
                           max_pool2d(ones({2, 2}), {});
                         })
      .error<ShapeError>("padding", "max_pool2d: padding (2, 2) must be between 0 and half of kernel (3, 3)",
                         [] {
                           max_pool2d(ones({1, 1, 8, 8}), {.kernel = 3, .padding = 2});
                         })
      .error<ShapeError>(
          "small image",
          "max_pool2d: an image of (2, 5) with padding (0, 0) holds no window of kernel (3, 3) and dilation (1, 1)",
          [] {
            max_pool2d(ones({1, 1, 2, 5}), {.kernel = 3});
          })
      .error<ShapeError>("kernel", "max_pool2d: kernel (0, 0), stride (1, 1) and dilation (1, 1) must be positive",
                         [] {
                           max_pool2d(ones({1, 1, 2, 5}), {.kernel = 0, .stride = 1});
                         })
      .error<DtypeError>("integers", "max_pool2d: needs a floating dtype, got int32…", [] {
        max_pool2d(ones({1, 1, 2, 2}, {.dtype = DType::i32}), {});
      });
}

TEST_CASE("max_pool2d: of equal maxima the first gets the gradient") {
  Tensor x = tensor<float>({1, 1, 2, 2, 1, 1, 2, 2, 3, 0, 5, 5, 0, 3, 5, 5}, {1, 1, 4, 4}, "cpu");
  x.attach_grad();
  Tensor y;
  {
    const autograd::Record record;
    y = max_pool2d(x, {.kernel = 2});
  }
  autograd::backward({y}, {.head_grads = {tensor<float>({10, 20, 30, 40}, {1, 1, 2, 2}, "cpu")}});
  CHECK(x.grad().to_vector<float>() == std::vector<float>{10, 0, 20, 0, 0, 0, 0, 0, 30, 0, 40, 0, 0, 0, 0, 0});
}

TEST_CASE("max_pool2d: NaN wins, -inf is a value, padding never wins") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), low = -std::numeric_limits<float>::infinity();
  Tensor x = tensor<float>({1, nan, low, low, nan, 9, low, low}, {1, 1, 2, 4}, "cpu");
  x.attach_grad();
  Tensor y;
  {
    const autograd::Record record;
    y = max_pool2d(x, {.kernel = 2});
  }
  CHECK(std::isnan(y.to_vector<float>()[0]));
  CHECK(y.to_vector<float>()[1] == low);
  y.backward({.head_grads = {ones_like(y)}});
  CHECK(x.grad().to_vector<float>() == std::vector<float>{0, 1, 1, 0, 0, 0, 0, 0});

  // With a dilated kernel a window can lie in the padding alone: it holds nothing, and nothing gets its gradient.
  Tensor one = tensor<float>({7}, {1, 1, 1, 1}, "cpu");
  one.attach_grad();
  {
    const autograd::Record record;
    y = max_pool2d(one, {.kernel = {2, 1}, .stride = 1, .padding = {1, 0}, .dilation = {2, 1}});
  }
  CHECK(y.to_vector<float>() == std::vector<float>{low});
  y.backward({.head_grads = {ones_like(y)}});
  CHECK(one.grad().to_vector<float>() == std::vector<float>{0});
}
