// Average pooling: padding counted or not, hanging windows, windows that divide an image unevenly.
#include "weft/autograd/ops/avg_pool2d.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/op_table.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

OpFunction with(const AvgPool2dOptions& options) {
  return [options](const Tensors& v) { return avg_pool2d(v[0], options); };
}
OpFunction to(Pair size) {
  return [size](const Tensors& v) { return adaptive_avg_pool2d(v[0], size); };
}

// Every pixel of the padded image that a window holds is looked at; `counts` says which of them divide.
Reference naive(const AvgPool2dOptions& o, int64_t height, int64_t width) {
  return [o, height, width](const Arrays& v) {
    const Array& x = v[0];
    const Pair s = o.stride == Pair(0) ? o.kernel : o.stride;
    Array y({x.size(0), x.size(1), height, width});
    for (int64_t flat = 0; flat < y.numel(); ++flat) {
      const int64_t j = flat % width, i = flat / width % height, c = flat / width / height % x.size(1);
      const int64_t n = flat / width / height / x.size(1);
      double sum = 0, count = 0;
      for (int64_t h = -o.padding.h; h < x.size(2) + o.padding.h; ++h)
        for (int64_t w = -o.padding.w; w < x.size(3) + o.padding.w; ++w) {
          const int64_t a = h - i * s.h + o.padding.h, b = w - j * s.w + o.padding.w;
          if (a < 0 || a >= o.kernel.h || b < 0 || b >= o.kernel.w) continue;
          const bool inside = h >= 0 && h < x.size(2) && w >= 0 && w < x.size(3);
          if (inside) sum += x(n, c, h, w);
          if (inside || o.count_include_pad) ++count;
        }
      y[flat] = sum / count;
    }
    return y;
  };
}

Reference naive_adaptive(Pair size) {
  return [size](const Arrays& v) {
    const Array& x = v[0];
    const auto covers = [](int64_t pixel, int64_t o, int64_t in, int64_t out) {
      const double ratio = static_cast<double>(in) / static_cast<double>(out);
      return static_cast<double>(pixel) >= std::floor(static_cast<double>(o) * ratio + 1e-9) &&
             static_cast<double>(pixel) < std::ceil(static_cast<double>(o + 1) * ratio - 1e-9);
    };
    Array y({x.size(0), x.size(1), size.h, size.w});
    for (int64_t flat = 0; flat < y.numel(); ++flat) {
      const int64_t j = flat % size.w, i = flat / size.w % size.h, plane = flat / size.w / size.h;
      double sum = 0, count = 0;
      for (int64_t h = 0; h < x.size(2); ++h)
        for (int64_t w = 0; w < x.size(3); ++w)
          if (covers(h, i, x.size(2), size.h) && covers(w, j, x.size(3), size.w)) {
            sum += x[(plane * x.size(2) + h) * x.size(3) + w];
            ++count;
          }
      y[flat] = sum / count;
    }
    return y;
  };
}

}  // namespace

OP_TABLE(avg_pool2d) {
  const AvgPool2dOptions two{.kernel = 2}, padded{.kernel = 3, .stride = 2, .padding = 1};
  const AvgPool2dOptions inside{.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false};
  const AvgPool2dOptions oblong{.kernel = {2, 3}, .stride = {1, 2}, .padding = {1, 0}}, gaps{.kernel = 1, .stride = 2};
  const AvgPool2dOptions hanging{.kernel = 2, .stride = 2, .ceil_mode = true, .count_include_pad = false};
  const AvgPool2dOptions hanging_padded{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true};
  const AvgPool2dOptions hanging_counted{.kernel = 2, .stride = 2, .ceil_mode = true};
  table.op("avg_pool2d")
      .row("2x2", {input({2, 3, 4, 6})}, with(two), naive(two, 2, 3))
      .row("padding counts", {input({1, 2, 7, 8})}, with(padded), naive(padded, 4, 4))
      .row("padding does not count", {input({1, 2, 7, 8})}, with(inside), naive(inside, 4, 4))
      .row("many channels", {input({1, 70, 3, 3})}, with(padded), naive(padded, 2, 2))
      .row("kernel, stride, padding by side", {input({2, 2, 4, 7})}, with(oblong), naive(oblong, 5, 3))
      .row("pixels in no window", {input({1, 2, 5, 5})}, with(gaps), naive(gaps, 3, 3))
      .row("hanging windows", {input({1, 4, 5, 3})}, with(hanging), naive(hanging, 3, 2))
      .row("hanging windows, counted as far as there is padding", {input({1, 1, 4, 6})}, with(hanging_padded),
           naive(hanging_padded, 3, 4))
      .row("hanging windows without padding", {input({1, 1, 5, 5})}, with(hanging_counted),
           naive(hanging_counted, 3, 3))
      .row("no samples", {input({0, 2, 4, 4})}, with(two), naive(two, 2, 2))
      .row("no channels", {input({2, 0, 4, 4})}, with(two), naive(two, 2, 2))
      .error<ShapeError>("rank", "avg_pool2d: expected [N, C, H, W], got shape [2, 2]",
                         [] {
                           avg_pool2d(ones({2, 2}), {});
                         })
      .error<ShapeError>("padding", "avg_pool2d: padding (2, 2) must be between 0 and half of kernel (3, 3)",
                         [] {
                           avg_pool2d(ones({1, 1, 8, 8}), {.kernel = 3, .padding = 2});
                         })
      .error<ShapeError>("small image",
                         "avg_pool2d: an image of (2, 5) with padding (0, 0) holds no window of kernel …",
                         [] {
                           avg_pool2d(ones({1, 1, 2, 5}), {.kernel = 3});
                         })
      .error<DtypeError>("integers", "avg_pool2d: needs a floating dtype, got int32…", [] {
        avg_pool2d(ones({1, 1, 2, 2}, {.dtype = DType::i32}), {});
      });
  table.op("adaptive_avg_pool2d")
      .row("to 1", {input({2, 3, 5, 4})}, to(1), naive_adaptive(1))
      .row("to 2", {input({2, 3, 5, 4})}, to(2), naive_adaptive(2))
      .row("to 3 by 6", {input({1, 4, 7, 8})}, to({3, 6}), naive_adaptive({3, 6}))
      .row("many channels", {input({1, 70, 3, 5})}, to(2), naive_adaptive(2))
      .row("large windows", {input({1, 4, 16, 17})}, to(2), naive_adaptive(2),
           {.slack = 4, .no_second_gradient = "as in the other rows, and slow"})
      .row("to the same size", {input({1, 2, 3, 4})}, to({3, 4}), naive_adaptive({3, 4}))
      .row("to a larger size", {input({1, 2, 3, 2})}, to({7, 3}), naive_adaptive({7, 3}))
      .row("no samples", {input({0, 2, 4, 4})}, to(3), naive_adaptive(3))
      .error<ShapeError>("size",
                         "adaptive_avg_pool2d: an image of (4, 4) cannot be pooled to (0, 2); both must have a pixel",
                         [] {
                           adaptive_avg_pool2d(ones({1, 1, 4, 4}), {0, 2});
                         })
      .error<ShapeError>("rank", "adaptive_avg_pool2d: expected [N, C, H, W], got shape [2, 2]", [] {
        adaptive_avg_pool2d(ones({2, 2}), 1);
      });
  table.op("global_avg_pool2d")
      .row(
          "image", {input({2, 3, 5, 4})}, [](const Tensors& v) { return global_avg_pool2d(v[0]); }, naive_adaptive(1))
      .row(
          "no samples", {input({0, 3, 5, 4})}, [](const Tensors& v) { return global_avg_pool2d(v[0]); },
          naive_adaptive(1))
      .error<ShapeError>("no pixels", "global_avg_pool2d: an image of shape [1, 2, 0, 3] has no pixels", [] {
        global_avg_pool2d(ones({1, 2, 0, 3}));
      });
}

TEST_CASE("avg_pool2d: the result is channels-last, whatever the input") {
  const Tensor x = randn({2, 3, 6, 5});
  for (const Layout layout : {Layout::row_major, Layout::channels_last}) {
    CHECK(avg_pool2d(x.contiguous(layout), {}).is_contiguous(Layout::channels_last));
    for (const int64_t size : {1, 3})
      CHECK(adaptive_avg_pool2d(x.contiguous(layout), size).is_contiguous(Layout::channels_last));
  }
}

TEST_CASE("avg_pool2d: the same bits on any number of threads") {
  const Tensor x = randn({3, 130, 17, 19});
  const auto run = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    const PoolWindows windows = ops::adaptive_windows(x, {6, 5});
    const Tensor y = ops::avg_pool2d(x, windows), dx = ops::avg_pool2d_backward(y, windows);
    set_num_threads(before);
    return std::pair{y.to_vector<float>(), dx.to_vector<float>()};
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(3) == one);
}
