// Transposed convolution against plain loops.
#include "weft/autograd/ops/conv_transpose2d.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/op_table.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::test;

namespace {

OpFunction with(const ConvTranspose2dOptions& options) {
  return [options](const Tensors& v) {
    ConvTranspose2dOptions o = options;
    if (v.size() > 2) o.bias = v[2];
    return conv_transpose2d(v[0], v[1], o);
  };
}

// Every pixel of x is spread by the filter.
Reference naive(const ConvTranspose2dOptions& o) {
  return [o](const Arrays& v) {
    const Array &x = v[0], &w = v[1];
    const Padding& p = o.padding;
    const int64_t out = w.size(1) * o.groups, per_group = x.size(1) / o.groups;
    const int64_t height =
        (x.size(2) - 1) * o.stride.h - p.top - p.bottom + o.dilation.h * (w.size(2) - 1) + o.output_padding.h + 1;
    const int64_t width =
        (x.size(3) - 1) * o.stride.w - p.left - p.right + o.dilation.w * (w.size(3) - 1) + o.output_padding.w + 1;
    Array y({x.size(0), out, height, width});
    if (v.size() > 2)
      for (int64_t i = 0; i < y.numel(); ++i) y[i] = v[2][i / (height * width) % out];
    for (int64_t flat = 0; flat < x.numel(); ++flat) {
      const int64_t j = flat % x.size(3), i = flat / x.size(3) % x.size(2);
      const int64_t c = flat / x.size(3) / x.size(2) % x.size(1), n = flat / x.size(3) / x.size(2) / x.size(1);
      for (int64_t k = 0; k < w.size(1); ++k)
        for (int64_t a = 0; a < w.size(2); ++a)
          for (int64_t b = 0; b < w.size(3); ++b) {
            const int64_t row = i * o.stride.h + a * o.dilation.h - p.top;
            const int64_t column = j * o.stride.w + b * o.dilation.w - p.left;
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            y(n, c / per_group * w.size(1) + k, row, column) += x[flat] * w(c, k, a, b);
          }
    }
    return y;
  };
}

}  // namespace

OP_TABLE(conv_transpose2d) {
  const ConvTranspose2dOptions plain, twice{.stride = 2, .padding = 1, .output_padding = 1}, grouped{.groups = 2};
  const ConvTranspose2dOptions uneven{
      .stride = {2, 1}, .padding = {0, 1, 1, 0}, .output_padding = {1, 0}, .dilation = {1, 2}};
  const RowOptions sums{.slack = 4, .gradient_slack = 4};
  // A sum that is rounded before the bias is added differs by more than the last place of the result: see below.
  const RowOptions biased{.dtypes = {DType::f64, DType::f32}, .slack = 4, .gradient_slack = 4};
  table.op("conv_transpose2d")
      .row("plain", {input({2, 3, 3, 4}), input({3, 2, 3, 3})}, with(plain), naive(plain), sums)
      .row("bias", {input({2, 3, 3, 4}), input({3, 2, 3, 3}), input({2})}, with(plain), naive(plain), biased)
      .row("to twice the size", {input({1, 2, 3, 2}), input({2, 3, 3, 3})}, with(twice), naive(twice), sums)
      .row("sides of their own", {input({1, 2, 3, 4}), input({2, 2, 2, 3})}, with(uneven), naive(uneven), sums)
      .row("groups", {input({1, 4, 3, 3}), input({4, 3, 2, 2})}, with(grouped), naive(grouped), sums)
      .row("groups and bias", {input({1, 4, 3, 3}), input({4, 3, 2, 2}), input({6})}, with(grouped), naive(grouped),
           biased)
      .row("whole numbers", {input({1, 3, 4, 3}).integers(-3, 3), input({3, 2, 3, 3}).integers(-3, 3)}, with(twice),
           naive(twice), {.exact = true})
      .row("no samples", {input({0, 3, 4, 4}), input({3, 2, 3, 3}), input({2})}, with(plain), naive(plain))
      .error<ShapeError>("rank", "conv_transpose2d: images of shape [3, 8] and filter [4, 3, 3, 3] must be …",
                         [] {
                           conv_transpose2d(ones({3, 8}), ones({4, 3, 3, 3}));
                         })
      .error<ShapeError>("channels",
                         "conv_transpose2d: images [1, 3, 4, 4] have 3 channels, filter [4, 2, 3, 3] takes 4",
                         [] {
                           conv_transpose2d(ones({1, 3, 4, 4}), ones({4, 2, 3, 3}));
                         })
      .error<ShapeError>("output padding",
                         "conv_transpose2d: output padding (2, 2) must be at least 0 and less than stride (2, 2)",
                         [] {
                           conv_transpose2d(ones({1, 3, 4, 4}), ones({3, 2, 3, 3}), {.stride = 2, .output_padding = 2});
                         })
      .error<ShapeError>("bias", "conv_transpose2d: the bias must have one value per output channel, [2], got [3]",
                         [] {
                           conv_transpose2d(ones({1, 3, 4, 4}), ones({3, 2, 3, 3}), {.bias = ones({3})});
                         })
      .error<ShapeError>("nothing left",
                         "conv_transpose2d: images [1, 1, 1, 1] and filter [1, 1, 2, 2] give a result of shape "
                         "[1, 1, 0, 0]; it must have a pixel",
                         [] {
                           conv_transpose2d(ones({1, 1, 1, 1}), ones({1, 1, 2, 2}), {.padding = 1});
                         });
}

TEST_CASE("conv_transpose2d: with a bias, 16-bit results round the sum and then the result") {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const Tensor x = randn({2, 3, 4, 5}).to(dtype), w = randn({3, 4, 3, 3}).to(dtype), bias = randn({4}).to(dtype);
    const Array y = to_array(conv_transpose2d(x, w, {.stride = 2, .bias = bias}));
    const Array sum = to_array(conv_transpose2d(x.to(DType::f32), w.to(DType::f32), {.stride = 2}));
    const Array b = to_array(bias);
    const double half_place = dtype == DType::f16 ? 0x1p-11 : 0x1p-8;
    for (int64_t i = 0; i < y.numel(); ++i) {
      const double exact = sum[i] + b[i / (y.size(2) * y.size(3)) % 4];
      CHECK(std::abs(y[i] - exact) <= 1.01 * half_place * (std::abs(sum[i]) + std::abs(exact)) + 1e-6);
    }
  }
}
