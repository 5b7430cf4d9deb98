// Kernels that move packs where extents and addresses allow it and elements elsewhere: the values of the host, and the
// same bits whether operands are aligned or begin one element later.
#include <doctest/doctest.h>

#include <array>
#include <functional>

#include "tests/cuda_sim/placed.h"
#include "tests/cuda_sim/sim.h"
#include "weft/tensor/ops/batch_norm.h"
#include "weft/tensor/ops/batch_norm_add.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/conv2d.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/cross_entropy.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/group_norm.h"
#include "weft/tensor/ops/log_softmax.h"
#include "weft/tensor/ops/softmax.h"
#include "weft/tensor/ops/unary.h"
#include "weft/tensor/ops/where.h"
#include "weft/tensor/random.h"
#include "weft/tensor/tensor.h"

using namespace weft;
using namespace weft::test;

namespace {

using Tensors = std::vector<Tensor>;
using Operation = std::function<Tensors(const Tensors&)>;

const std::vector<DType> floating = {DType::f32, DType::f64, DType::f16, DType::bf16};

double tolerance(DType dtype) {
  return dtype == DType::bf16 ? 0.06 : dtype == DType::f16 ? 0.008 : dtype == DType::f32 ? 2e-5 : 1e-12;
}

// `inputs` lie on the host.
void check(const Operation& operation, const Tensors& inputs, double tolerance) {
  Tensors aligned, shifted;
  for (const Tensor& x : inputs) {
    aligned.push_back(placed(x, 0));
    shifted.push_back(placed(x, 1));
  }
  const Tensors right = operation(inputs), packed = operation(aligned), single = operation(shifted);
  for (size_t i = 0; i < right.size(); ++i) {
    CAPTURE(i);
    CHECK(distance(packed[i], right[i]) <= tolerance);
    CHECK(distance(single[i], packed[i]) == 0);
  }
}

Tensor random(const Shape& shape, DType dtype) {
  const DeviceGuard host("cpu");
  return randn(shape).to(dtype);
}

}  // namespace

TEST_CASE("packs: batch norm of channels that packs divide and of odd ones, of rows in one chunk and in many") {
  const GeneratorGuard seed(Generator(5));
  for (const DType dtype : floating) {
    const DType wide = dtype == DType::f64 ? DType::f64 : DType::f32;
    for (const auto& [rows, channels] : {std::pair<int64_t, int64_t>{7, 1},
                                         {300, 3},
                                         {129, 4},
                                         {5, 6},
                                         {131, 8},
                                         {40, 21},
                                         {17, 68},
                                         {3, 70},
                                         {3, 260}}) {
      CAPTURE(rows);
      CAPTURE(channels);
      const Tensors inputs = {random({rows, channels}, dtype), random({rows, channels}, dtype),
                              random({rows, channels}, dtype), random({channels}, wide),
                              random({channels}, wide),        random({channels}, wide)};
      const double n = static_cast<double>(rows);
      check(
          [n](const Tensors& v) -> Tensors {
            const Tensor &x = v[0], &dy = v[1], &y = v[2], &inverse = v[3], &gamma = v[4], &beta = v[5];
            const auto [mean, var] = ops::batch_norm_statistics(x);
            const auto [sum, product] = ops::batch_norm_sums(x, dy, y, beta, inverse);
            const auto [plain, plain_product] = ops::batch_norm_sums(x, dy, {}, beta, inverse);
            return {mean,
                    var,
                    ops::batch_norm_normalize(x, beta, inverse, gamma, beta, true),
                    ops::batch_norm_add(x, dy, beta, inverse, gamma, beta, true),
                    ops::batch_norm_add_backward(dy, y),
                    ops::batch_norm_dx(x, dy, y, beta, inverse, gamma, gamma, beta, n),
                    sum,
                    product,
                    plain,
                    plain_product};
          },
          inputs, tolerance(dtype) * (dtype == DType::f32 || dtype == DType::f64 ? 10 : 1));
    }
  }
}

TEST_CASE(
    "packs: rows of softmax that packs divide and others, in registers and not, of a part of a warp and of a block") {
  const GeneratorGuard seed(Generator(6));
  for (const DType dtype : floating) {
    for (const int64_t n : {1, 2, 4, 6, 8, 21, 64, 100, 128, 132, 150, 256, 260, 1024, 1028, 2051, 2304}) {
      CAPTURE(n);
      const int64_t rows = n > 1024 ? 3 : n > 100 ? 11 : 40;
      check(
          [](const Tensors& v) -> Tensors {
            return {ops::softmax(v[0], 1), ops::log_softmax(v[0], 1), ops::softmax_backward(v[1], v[0], 1),
                    ops::log_softmax_backward(v[1], v[0], 1), ops::softmax(v[0], 0)};
          },
          {random({rows, n}, dtype), random({rows, n}, dtype)}, tolerance(dtype) * 10);
    }
  }
}

TEST_CASE("packs: rows of nothing but infinities and with NaN, whose length packs divide") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t n : {8, 260, 1028}) {
    std::vector<float> x(static_cast<size_t>(4 * n), 0.0f);
    for (size_t c = 0; c < static_cast<size_t>(n); ++c) x[c] = -inf;
    x[static_cast<size_t>(n)] = -inf;
    x[static_cast<size_t>(2 * n + 5)] = nan;
    x[static_cast<size_t>(3 * n + 7)] = inf;
    check(
        [](const Tensors& v) -> Tensors {
          return {ops::softmax(v[0], 1), ops::log_softmax(v[0], 1)};
        },
        {tensor(x, {4, n}, "cpu")}, 1e-6);
  }
}

TEST_CASE("packs: layer and group norm of rows that packs divide and others") {
  const GeneratorGuard seed(Generator(7));
  for (const DType dtype : floating) {
    const DType wide = dtype == DType::f64 ? DType::f64 : DType::f32;
    for (const auto& [rows, channels, spatial] : {std::array<int64_t, 3>{9, 4, 1},
                                                  {9, 7, 1},
                                                  {3, 132, 1},
                                                  {2, 1028, 1},
                                                  {6, 6, 2},
                                                  {6, 6, 3},
                                                  {4, 2, 516},
                                                  {2, 2, 601}}) {
      CAPTURE(channels);
      CAPTURE(spatial);
      const int64_t groups = spatial > 1 ? 2 : 1;
      const ops::GroupNormRows geometry{"group_norm", rows * groups, groups, channels, spatial};
      check(
          [&geometry](const Tensors& v) -> Tensors {
            const auto [y, mean, inverse_std] = ops::group_norm(v[0], v[2], v[3], 0.1, geometry);
            return {y, mean, inverse_std, ops::group_norm_backward(v[1], v[0], v[2], v[4], v[5], geometry)};
          },
          {random({rows, channels, spatial}, dtype), random({rows, channels, spatial}, dtype), random({channels}, wide),
           random({channels}, wide), random({rows * groups}, wide), random({rows * groups}, wide)},
          tolerance(dtype) * 10);
    }
  }
}

TEST_CASE("packs: cross entropy of classes that packs divide and others") {
  const GeneratorGuard seed(Generator(8));
  for (const DType dtype : floating) {
    for (const int64_t n : {1, 4, 6, 8, 21, 132, 1028, 1030}) {
      CAPTURE(n);
      const int64_t rows = n > 1024 ? 3 : 21;
      check(
          [rows](const Tensors& v) -> Tensors {
            const Tensor labels = zeros({rows}, {.dtype = DType::i64, .device = v[0].device()});
            const auto [log_sum, loss, sum, weight, mean] = ops::cross_entropy(v[0], labels, {}, {});
            return {log_sum, loss, sum, weight, mean};
          },
          {random({rows, n}, dtype)}, tolerance(dtype));
    }
  }
}

namespace {

/// Accesses of 16 bytes in `action`.
int64_t wide_accesses_of(const std::function<void()>& action) {
  sim::run_all();
  const int64_t before = sim::wide_accesses();
  action();
  sim::run_all();
  return sim::wide_accesses() - before;
}

}  // namespace

TEST_CASE("packs: every byte of dense operands moves in accesses of 16, whatever the type; rows of 21 classes too") {
  constexpr int64_t rows = 160, classes = 21;  // channels' own values do not move in packs
  const GeneratorGuard seed(Generator(9));
  for (const DType dtype : floating) {
    CAPTURE(dtype);
    const DType wide = dtype == DType::f64 ? DType::f64 : DType::f32;
    const Shape shape = {rows, classes};
    const Tensor x = placed(random(shape, dtype), 0), y = placed(random(shape, dtype), 0);
    const Tensor c = placed(random({classes}, wide), 0), position = placed(random({rows}, wide), 0);
    const Tensor labels = zeros({rows}, {.dtype = DType::i64, .device = "cuda:0"});
    const Tensor one = ones({}, {.dtype = wide, .device = "cuda:0"}),
                 condition = ops::compare(CompareOp::greater, x, y);
    const std::vector<std::tuple<std::string, int64_t, std::function<void()>>> operations = {
        {"unary", 2, [&] { ops::unary(UnaryOp::relu, x); }},
        {"unary_gradient", 3, [&] { ops::unary_gradient(UnaryOp::relu, x, y); }},
        {"binary", 3, [&] { ops::binary(BinaryOp::mul, x, y); }},
        {"fill", 1, [&] { ops::fill(x, 1); }},
        {"batch_norm", 2, [&] { ops::batch_norm_normalize(x, c, c, c, c, true); }},
        {"batch_norm_dx", 4, [&] { ops::batch_norm_dx(x, y, y, c, c, c, c, c, 160); }},
        {"batch_norm_add", 3, [&] { ops::batch_norm_add(x, y, c, c, c, c, true); }},
        {"batch_norm_add_backward", 3, [&] { ops::batch_norm_add_backward(x, y); }},
        {"softmax", 2, [&] { ops::softmax(x, 1); }},
        {"log_softmax_backward", 3, [&] { ops::log_softmax_backward(x, y, 1); }},
        {"cross_entropy", 1, [&] { ops::cross_entropy(x, labels, {}, {}); }},
        {"cross_entropy_backward", 2, [&] { ops::cross_entropy_backward(one, x, labels, {}, position, {}, {}); }},
    };
    for (const auto& [name, operands, operation] : operations) {
      CAPTURE(name);
      CHECK(wide_accesses_of(operation) == operands * rows * classes * size_of(dtype) / 16);
    }
  }
}
