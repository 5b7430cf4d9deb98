// Convolutions against plain loops: groups, strides, dilation, padding of each side, all dtypes; the plans behind them.
#include "weft/autograd/ops/conv2d.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <thread>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/record.h"
#include "weft/tensor/cpu/lru_cache.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

// Calls f(x index, w index, y index, ...) for every product that a convolution adds up.
template <class F>
void for_products(const Shape& x, const Shape& w, const Shape& y, const Conv2dGeometry& g, const F& f) {
  const int64_t in = w[1], out = w[0] / g.groups;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t o = 0; o < y[1]; ++o)
      for (int64_t i = 0; i < y[2]; ++i)
        for (int64_t j = 0; j < y[3]; ++j)
          for (int64_t c = 0; c < in; ++c)
            for (int64_t p = 0; p < w[2]; ++p)
              for (int64_t q = 0; q < w[3]; ++q) {
                const int64_t row = i * g.stride.h + p * g.dilation.h - g.padding.top;
                const int64_t column = j * g.stride.w + q * g.dilation.w - g.padding.left;
                if (row < 0 || row >= x[2] || column < 0 || column >= x[3]) continue;
                f(((n * x[1] + o / out * in + c) * x[2] + row) * x[3] + column, ((o * in + c) * w[2] + p) * w[3] + q,
                  ((n * y[1] + o) * y[2] + i) * y[3] + j);
              }
}

Shape output_of(const Shape& x, const Shape& w, const Conv2dGeometry& g) {
  return {x[0], w[0], (x[2] + g.padding.top + g.padding.bottom - g.dilation.h * (w[2] - 1) - 1) / g.stride.h + 1,
          (x[3] + g.padding.left + g.padding.right - g.dilation.w * (w[3] - 1) - 1) / g.stride.w + 1};
}

Array naive(const Array& x, const Array& w, const Conv2dGeometry& g, const Array* bias = nullptr) {
  Array y(output_of(x.shape, w.shape, g));
  if (bias)
    for (int64_t i = 0; i < y.numel(); ++i) y[i] = (*bias)[i / (y.size(2) * y.size(3)) % y.size(1)];
  for_products(x.shape, w.shape, y.shape, g, [&](int64_t a, int64_t b, int64_t c) { y[c] += x[a] * w[b]; });
  return y;
}

Array naive_dx(const Array& dy, const Array& w, const Shape& shape, const Conv2dGeometry& g) {
  Array dx(shape);
  for_products(shape, w.shape, dy.shape, g, [&](int64_t a, int64_t b, int64_t c) { dx[a] += dy[c] * w[b]; });
  return dx;
}

Array naive_dw(const Array& x, const Array& dy, const Shape& shape, const Conv2dGeometry& g) {
  Array dw(shape);
  for_products(x.shape, shape, dy.shape, g, [&](int64_t a, int64_t b, int64_t c) { dw[b] += x[a] * dy[c]; });
  return dw;
}

Conv2dOptions with_bias(const Conv2dGeometry& g, const Tensor& bias = {}) {
  return {.stride = g.stride, .padding = g.padding, .dilation = g.dilation, .groups = g.groups, .bias = bias};
}

// With a ReLU; the last operand is a bias if there are three.
void add_relu(Op& op, const std::string& name, std::vector<Input> inputs, const Conv2dGeometry& g,
              RowOptions options = {}, Op::Where where = Op::Where::current()) {
  op.row(
      name, std::move(inputs),
      [g](const Tensors& v) {
        Conv2dOptions how = with_bias(g, v.size() > 2 ? v[2] : Tensor());
        how.relu = true;
        return conv2d(v[0], v[1], how);
      },
      [g](const Arrays& v) {
        Array y = naive(v[0], v[1], g, v.size() > 2 ? &v[2] : nullptr);
        for (int64_t i = 0; i < y.numel(); ++i) y[i] = std::max(y[i], 0.0);
        return y;
      },
      std::move(options), where);
}

// A row over images and filters of these shapes; with a bias if `bias` is set.
void add(Op& op, const std::string& name, const Input& x, const Input& w, const Conv2dGeometry& g, bool bias = false,
         RowOptions options = {}, Op::Where where = Op::Where::current()) {
  std::vector<Input> inputs{x, w};
  if (bias) inputs.push_back(input({w.shape[0]}));
  op.row(
      name, inputs, [g](const Tensors& v) { return conv2d(v[0], v[1], with_bias(g, v.size() > 2 ? v[2] : Tensor())); },
      [g](const Arrays& v) { return naive(v[0], v[1], g, v.size() > 2 ? &v[2] : nullptr); }, std::move(options), where);
}

Input whole(const Shape& shape) { return input(shape).integers(-3, 3); }

}  // namespace

OP_TABLE(conv2d) {
  Op& op = table.op("conv2d");
  add(op, "3x3", input({2, 3, 5, 6}), input({4, 3, 3, 3}), {.padding = 1}, true);
  add(op, "1x1", input({2, 5, 3, 4}), input({3, 5, 1, 1}), {});
  add(op, "1x1, stride 2", input({2, 4, 5, 4}), input({3, 4, 1, 1}), {.stride = 2}, true);
  add(op, "7x7, stride 2", input({1, 3, 9, 8}), input({2, 3, 7, 7}), {.stride = 2, .padding = 3});
  add(op, "1x5", input({1, 2, 3, 9}), input({3, 2, 1, 5}), {.padding = {0, 2}});
  add(op, "whole image", input({2, 3, 4, 5}), input({4, 3, 4, 5}), {}, true);
  add(op, "stride and dilation differ", input({2, 2, 7, 9}), input({3, 2, 3, 2}),
      {.stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 3}});
  add(op, "dilation 4, padding 4", input({1, 2, 6, 5}), input({2, 2, 3, 3}), {.padding = 4, .dilation = 4});
  add(op, "padding of each side", input({2, 2, 4, 5}), input({3, 2, 3, 3}), {.padding = {2, 0, 1, 3}}, true);
  add(op, "padding of each side, stride 2", input({1, 2, 5, 6}), input({3, 2, 3, 3}),
      {.stride = 2, .padding = {0, 1, 0, 1}});
  add(op, "more padding than filter", input({1, 2, 3, 3}), input({2, 2, 2, 2}), {.padding = 3});
  add(op, "rows left over", input({1, 2, 8, 7}), input({2, 2, 3, 3}), {.stride = 3});
  add(op, "groups", input({2, 6, 5, 4}), input({4, 3, 3, 3}), {.padding = 1, .groups = 2}, true);
  add(op, "groups of 1x1", input({2, 6, 3, 2}), input({9, 2, 1, 1}), {.groups = 3});
  add(op, "depthwise", input({2, 5, 5, 6}), input({5, 1, 3, 3}), {.padding = 1, .groups = 5}, true);
  add(op, "depthwise, two per channel", input({2, 3, 5, 4}), input({6, 1, 3, 3}), {.padding = 1, .groups = 3});
  add(op, "depthwise, stride 2, dilation 2", input({1, 16, 7, 6}), input({16, 1, 3, 3}),
      {.stride = 2, .padding = 2, .dilation = 2, .groups = 16});
  add(op, "dilation beyond the image", input({2, 3, 4, 5}), input({4, 3, 3, 3}), {.padding = 6, .dilation = 6}, true);
  add(op, "dilation beyond the height", input({1, 2, 5, 4}), input({2, 2, 3, 3}),
      {.padding = {6, 2}, .dilation = {6, 2}});
  add(op, "dilation beyond the image, stride 2", input({1, 2, 6, 5}), input({2, 2, 3, 3}),
      {.stride = 2, .padding = 7, .dilation = 7});
  add(op, "dilation beyond one side", input({1, 2, 4, 6}), input({2, 2, 3, 3}),
      {.padding = {8, 1, 2, 2}, .dilation = {4, 2}}, true);
  add(op, "two taps of five on each side beyond the image", input({1, 4, 4, 5}), input({2, 2, 5, 3}),
      {.padding = {8, 1}, .dilation = {4, 1}, .groups = 2});
  add(op, "whole numbers", whole({2, 16, 6, 6}), whole({8, 16, 3, 3}), {.padding = 1}, false, {.exact = true});
  add(op, "whole numbers, 17 channels", whole({1, 17, 5, 5}), whole({9, 17, 3, 3}), {.padding = 1}, false,
      {.dtypes = {DType::f64, DType::f32}, .exact = true});
  add(op, "no images", input({0, 3, 5, 6}), input({4, 3, 3, 3}), {.padding = 1}, true);
  add_relu(op, "relu", {input({2, 3, 5, 6}), input({4, 3, 3, 3}), input({4})}, {.padding = 1});
  add_relu(op, "relu without bias", {input({2, 5, 3, 4}), input({3, 5, 1, 1})}, {});
  add_relu(op, "relu, stride 2", {input({2, 4, 5, 4}), input({3, 4, 1, 1}), input({3})}, {.stride = 2});
  add_relu(op, "relu, groups", {input({2, 6, 5, 4}), input({4, 3, 3, 3}), input({4})}, {.padding = 1, .groups = 2});
  add_relu(op, "relu, depthwise", {input({2, 5, 5, 6}), input({5, 1, 3, 3}), input({5})}, {.padding = 1, .groups = 5});
  add_relu(op, "relu, dilation beyond the image", {input({2, 3, 4, 5}), input({4, 3, 3, 3}), input({4})},
           {.padding = 6, .dilation = 6});
  add_relu(op, "relu, whole numbers", {whole({2, 16, 6, 6}), whole({8, 16, 3, 3}), whole({8})}, {.padding = 1},
           {.exact = true, .no_gradient = "sums of whole numbers meet the corner at 0"});
  add_relu(op, "relu, no images", {input({0, 3, 5, 6}), input({4, 3, 3, 3}), input({4})}, {.padding = 1});
  op.error<ShapeError>("channels",
                       "conv2d: images [2, 3, 8, 8] have 3 channels, filter [4, 2, 3, 3] with groups 1 takes 2",
                       [] {
                         conv2d(ones({2, 3, 8, 8}), ones({4, 2, 3, 3}));
                       })
      .error<ShapeError>("groups", "conv2d: groups 3 do not divide the 4 output channels of filter [4, 1, 3, 3]",
                         [] {
                           conv2d(ones({2, 3, 8, 8}), ones({4, 1, 3, 3}), {.groups = 3});
                         })
      .error<ShapeError>("no output",
                         "conv2d: a filter of 3 x 3 with dilation (4, 4) reaches 9 x 9, more than images "
                         "[1, 1, 4, 9] with padding [1, 1, 1, 1]; the output would be empty",
                         [] {
                           conv2d(ones({1, 1, 4, 9}), ones({1, 1, 3, 3}), {.padding = 1, .dilation = 4});
                         })
      .error<ShapeError>("rank of images", "conv2d: images must be [N, C, H, W] with C, H, W > 0, got [3, 8, 8]",
                         [] {
                           conv2d(ones({3, 8, 8}), ones({4, 3, 3, 3}));
                         })
      .error<ShapeError>("empty images", "conv2d: images must be [N, C, H, W] with C, H, W > 0, got [1, 3, 0, 8]",
                         [] {
                           conv2d(ones({1, 3, 0, 8}), ones({4, 3, 1, 1}));
                         })
      .error<ShapeError>("filter", "conv2d: the filter must be [O, C/groups, kh, kw] without zeros, got [4, 3, 3]",
                         [] {
                           conv2d(ones({1, 3, 8, 8}), ones({4, 3, 3}));
                         })
      .error<ShapeError>("stride", "conv2d: stride (0, 1), dilation (1, 1) and groups 1 must be positive",
                         [] {
                           conv2d(ones({1, 3, 8, 8}), ones({4, 3, 3, 3}), {.stride = {0, 1}});
                         })
      .error<ShapeError>("padding", "conv2d: padding [0, 0, -1, 0] (top, bottom, left, right) must not be negative",
                         [] {
                           conv2d(ones({1, 3, 8, 8}), ones({4, 3, 3, 3}), {.padding = {0, 0, -1, 0}});
                         })
      .error<ShapeError>("bias", "conv2d: the bias must have one value per output channel, [4], got [3]",
                         [] {
                           conv2d(ones({1, 3, 8, 8}), ones({4, 3, 3, 3}), {.bias = ones({3})});
                         })
      .error<ShapeError>("gradient",
                         "conv2d_input_gradient: the gradient must have the shape of the output, [1, 4, 6, 6], "
                         "got [1, 4, 6, 5]",
                         [] {
                           ops::conv2d_input_gradient(ones({1, 4, 6, 5}), ones({4, 3, 3, 3}), {1, 3, 8, 8});
                         })
      .error<DtypeError>("integers", "conv2d: needs a floating dtype, got int32; convert with .to(DType::f32)",
                         [] {
                           conv2d(ones({1, 3, 8, 8}, {.dtype = DType::i32}), ones({4, 3, 3, 3}));
                         })
      .error<DtypeError>("two dtypes", "conv2d: dtypes float32 and float16 differ; convert one with .to(dtype)",
                         [] {
                           conv2d(ones({1, 3, 8, 8}), ones({4, 3, 3, 3}, {.dtype = DType::f16}));
                         })
      .error<DeviceError>("two devices", "conv2d: operands on cpu:0 and cpu:1; move one with .to(cpu:0)", [] {
        conv2d(ones({1, 3, 8, 8}), ones({4, 3, 3, 3}, {.device = "cpu:1"}));
      });
}

namespace {

struct ThreadsGuard {
  explicit ThreadsGuard(int threads) { set_num_threads(threads); }
  ~ThreadsGuard() { set_num_threads(previous); }
  int previous = num_threads();
};

struct Case {
  Shape x, w;
  Conv2dGeometry geometry;
};

// As networks have them, with fewer channels; sums of whole numbers that are exact in f32.
std::vector<Case> cases() {
  return {{{2, 3, 33, 30}, {16, 3, 7, 7}, {.stride = 2, .padding = 3}},
          {{2, 16, 14, 13}, {24, 16, 3, 3}, {.padding = 1}},
          {{1, 64, 9, 9}, {70, 64, 3, 3}, {.padding = 2, .dilation = 2}},
          {{1, 20, 15, 15}, {8, 20, 3, 3}, {.padding = 12, .dilation = 12}},
          {{3, 40, 7, 7}, {12, 40, 1, 1}, {}},
          {{2, 16, 12, 11}, {16, 16, 3, 3}, {.stride = 2, .padding = {0, 1, 0, 1}}},
          {{2, 64, 10, 9}, {64, 1, 3, 3}, {.padding = 1, .groups = 64}},
          {{2, 72, 10, 9}, {72, 1, 5, 5}, {.stride = 2, .padding = 4, .dilation = 2, .groups = 72}},
          {{2, 12, 8, 8}, {24, 1, 3, 3}, {.padding = 1, .groups = 12}},
          {{2, 32, 8, 8}, {32, 8, 3, 3}, {.padding = 1, .groups = 4}},
          {{2, 15, 8, 8}, {9, 5, 3, 3}, {.padding = 1, .groups = 3}},
          {{1, 8, 40, 41}, {8, 8, 3, 3}, {.padding = {3, 0, 5, 1}}}};
}

}  // namespace

TEST_CASE("conv2d: the three passes give the sums of the loops, for any number of threads") {
  for (const Case& c : cases()) {
    const Array x = make_values(whole(c.x), 1), w = make_values(whole(c.w), 2);
    const Array dy = make_values(whole(output_of(c.x, c.w, c.geometry)), 3);
    const Array y = naive(x, w, c.geometry), dx = naive_dx(dy, w, c.x, c.geometry),
                dw = naive_dw(x, dy, c.w, c.geometry);
    for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
      const Tensor tx = make_tensor(x, dtype), tw = make_tensor(w, dtype), tdy = make_tensor(dy, dtype);
      for (const int threads : {1, 2, 3}) {
        const ThreadsGuard guard(threads);
        INFO(to_string(c.x), " by ", to_string(c.w), ", groups ", c.geometry.groups, ", ", name_of(dtype), ", threads ",
             threads);
        const Tensor got = ops::conv2d(tx, tw, {}, c.geometry);
        CHECK(got.is_contiguous(Layout::channels_last));
        CHECK(difference(to_array(got), rounded(y, dtype), {}) == "");
        CHECK(difference(to_array(ops::conv2d_input_gradient(tdy, tw, c.x, c.geometry)), rounded(dx, dtype), {}) == "");
        CHECK(difference(to_array(ops::conv2d_weight_gradient(tx, tdy, c.w, c.geometry)), rounded(dw, dtype), {}) ==
              "");
      }
    }
  }
}

namespace {

std::vector<ConvPass> passes;
Kernel<Conv2dArgs>::Function real_conv2d;

void counted(const Conv2dArgs& args, Stream stream) {
  passes.push_back(args.pass);
  real_conv2d(args, stream);
}

// Writes down the passes that run on the CPU.
struct CountingGuard {
  CountingGuard() {
    passes.clear();
    real_conv2d = reinterpret_cast<Kernel<Conv2dArgs>::Function>(detail::find_kernel(conv2d_kernel, DeviceType::cpu));
    conv2d_kernel.plug(DeviceType::cpu, &counted);
  }
  ~CountingGuard() { conv2d_kernel.plug(DeviceType::cpu, real_conv2d); }
};

std::vector<ConvPass> passes_with(bool x_tracked, bool w_tracked) {
  Tensor x = ones({1, 2, 4, 4}), w = ones({3, 2, 3, 3}), bias = ones({3}).attach_grad();
  if (x_tracked) x.attach_grad();
  if (w_tracked) w.attach_grad();
  const CountingGuard guard;
  Tensor y;
  {
    const autograd::Record record;
    y = conv2d(x, w, {.bias = bias});
  }
  y.backward({.head_grads = {ones({1, 3, 2, 2})}});
  CHECK(difference(to_array(bias.grad()), Array({3}, 4), {}) == "");
  return passes;
}

}  // namespace

TEST_CASE("conv2d: gradients that nobody wants are not computed") {
  using enum ConvPass;
  CHECK(passes_with(true, true) == std::vector{forward, data, filter});
  CHECK(passes_with(false, true) == std::vector{forward, filter});
  CHECK(passes_with(true, false) == std::vector{forward, data});
  CHECK(passes_with(false, false) == std::vector{forward});
}

TEST_CASE("conv2d: no images give a gradient of zeros") {
  const Tensor dw = ops::conv2d_weight_gradient(ones({0, 2, 4, 4}), ones({0, 3, 2, 2}), {3, 2, 3, 3});
  CHECK(difference(to_array(dw), Array({3, 2, 3, 3}), {}) == "");
  CHECK(ops::conv2d_input_gradient(ones({0, 3, 2, 2}), ones({3, 2, 3, 3}), {0, 2, 4, 4}).shape() == Shape{0, 2, 4, 4});
}

TEST_CASE("conv2d: several threads share the plans") {
  const Case c = cases()[1];
  const Array x = make_values(whole(c.x), 1), w = make_values(whole(c.w), 2);
  const Array exact = naive(x, w, c.geometry);
  const Tensor tx = make_tensor(x, DType::f32), tw = make_tensor(w, DType::f32);
  std::vector<std::string> faults(4);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < faults.size(); ++i)
    threads.emplace_back([&, i] {
      const ThreadsGuard guard(static_cast<int>(i % 2) + 1);
      for (int turn = 0; turn < 5; ++turn)
        faults[i] += difference(to_array(ops::conv2d(tx, tw, {}, c.geometry)), exact, {});
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& fault : faults) CHECK(fault == "");
}

TEST_CASE("padding: one number, a pair, or each side") {
  const auto sides = [](const Padding& p) { return std::array{p.top, p.bottom, p.left, p.right}; };
  CHECK(sides(2) == std::array<int64_t, 4>{2, 2, 2, 2});
  CHECK(sides(Pair(1, 2)) == std::array<int64_t, 4>{1, 1, 2, 2});
  CHECK(sides({1, 2}) == std::array<int64_t, 4>{1, 1, 2, 2});
  CHECK(sides({1, 2, 3, 4}) == std::array<int64_t, 4>{1, 2, 3, 4});
}

TEST_CASE("lru cache: the value unused for longest goes, and lives on where it is held") {
  cpu::LruCache<int, int, std::hash<int>> cache(3);
  for (int i = 0; i < 3; ++i) cache.insert(i, std::make_shared<int>(10 * i));
  const auto held = cache.find(1);
  cache.find(0);  // 2 is now the oldest
  cache.insert(3, std::make_shared<int>(30));
  CHECK(cache.find(2) == nullptr);
  CHECK(*cache.find(0) == 0);
  cache.insert(0, std::make_shared<int>(7));
  CHECK(*cache.find(0) == 0);
  for (int i = 4; i < 10; ++i) cache.insert(i, std::make_shared<int>(i));
  CHECK(cache.size() == 3);
  CHECK(cache.find(1) == nullptr);
  CHECK(*held == 10);
}

TEST_CASE("lru cache: threads meet in it") {
  cpu::LruCache<int, int, std::hash<int>> cache(8);
  std::vector<int> wrong(3);
  std::vector<std::thread> threads;
  for (int& faults : wrong)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        const auto value = cache.find(i % 12);
        if (!value) cache.insert(i % 12, std::make_shared<int>(i % 12));
        faults += value && *value != i % 12;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>{0, 0, 0});
  CHECK(cache.size() == 8);
}
