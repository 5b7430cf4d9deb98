// Convolution of lines against plain loops.
#include "weft/autograd/ops/conv1d.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/op_table.h"

using namespace weft;
using namespace weft::test;

namespace {

OpFunction with(const Conv1dOptions& options) {
  return [options](const Tensors& v) {
    Conv1dOptions o = options;
    if (v.size() > 2) o.bias = v[2];
    return conv1d(v[0], v[1], o);
  };
}

Reference naive(const Conv1dOptions& o) {
  return [o](const Arrays& v) {
    const Array &x = v[0], &w = v[1];
    const int64_t length = (x.size(2) + 2 * o.padding - o.dilation * (w.size(2) - 1) - 1) / o.stride + 1;
    Array y({x.size(0), w.size(0), length});
    for (int64_t i = 0; i < y.numel(); ++i) {
      const int64_t j = i % length, out = i / length % w.size(0), n = i / length / w.size(0);
      if (v.size() > 2) y[i] = v[2][out];
      for (int64_t c = 0; c < w.size(1); ++c)
        for (int64_t q = 0; q < w.size(2); ++q) {
          const int64_t at = j * o.stride + q * o.dilation - o.padding;
          const int64_t channel = out / (w.size(0) / o.groups) * w.size(1) + c;
          if (at >= 0 && at < x.size(2)) y[i] += x(n, channel, at) * w(out, c, q);
        }
      if (o.relu) y[i] = std::max(y[i], 0.0);
    }
    return y;
  };
}

}  // namespace

OP_TABLE(conv1d) {
  const Conv1dOptions plain, padded{.stride = 2, .padding = 2}, dilated{.dilation = 3}, grouped{.groups = 2},
      rectified{.padding = 1, .relu = true};
  const RowOptions sums{.slack = 4, .gradient_slack = 4};
  table.op("conv1d")
      .row("plain", {input({2, 3, 8}), input({4, 3, 3}), input({4})}, with(plain), naive(plain), sums)
      .row("stride and padding", {input({1, 2, 7}), input({3, 2, 4})}, with(padded), naive(padded), sums)
      .row("dilated", {input({1, 2, 9}), input({2, 2, 3})}, with(dilated), naive(dilated), sums)
      .row("groups", {input({2, 4, 5}), input({6, 2, 2}), input({6})}, with(grouped), naive(grouped), sums)
      .row("relu", {input({2, 3, 6}), input({4, 3, 3}), input({4})}, with(rectified), naive(rectified), sums)
      .row("whole numbers", {input({2, 3, 6}).integers(-3, 3), input({4, 3, 3}).integers(-3, 3)}, with(plain),
           naive(plain), {.exact = true})
      .row("no samples", {input({0, 3, 8}), input({4, 3, 3}), input({4})}, with(plain), naive(plain))
      .error<ShapeError>("rank",
                         "conv1d: lines of shape [3, 8] and filter [4, 3, 3] must be [N, C, L] and [O, C/groups, k]",
                         [] {
                           conv1d(ones({3, 8}), ones({4, 3, 3}));
                         })
      .error<ShapeError>("channels", "conv2d: images [1, 3, 1, 8] have 3 channels, filter [4, 2, 1, 3] with groups 1 …",
                         [] {
                           conv1d(ones({1, 3, 8}), ones({4, 2, 3}));
                         });
}
