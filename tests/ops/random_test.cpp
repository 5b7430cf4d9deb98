// Random numbers: known answers of Philox, equal bits everywhere, and moments.
#include "weft/tensor/random.h"

#include <doctest/doctest.h>

#include <cmath>
#include <thread>

#include "tests/support/op_table.h"
#include "weft/autograd/ops/concat.h"
#include "weft/tensor/ops/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

const RandomCall call{.seed = 0xfedcba9876543210u, .call = (uint64_t{3} << 32) + 9, .offset = 1};

// The input gives the shape alone.
OpFunction uniform_between(double low, double high) {
  return [=](const Tensors& v) { return ops::uniform(v[0].shape(), low, high, {.dtype = row_dtype()}, call); };
}
OpFunction normal_around(double mean, double deviation) {
  return [=](const Tensors& v) { return ops::normal(v[0].shape(), mean, deviation, {.dtype = row_dtype()}, call); };
}

double unit(int64_t i) {
  const uint64_t index = static_cast<uint64_t>(call.offset + i);
  const int bits = row_dtype() == DType::f32 ? 24 : row_dtype() == DType::f16 ? 11 : 8;
  if (row_dtype() != DType::f64) return std::ldexp(philox::word_of(call, index) >> (32 - bits), -bits);
  return std::ldexp(static_cast<double>(philox::long_word_of(call, index) >> 11), -53);
}

Reference naive_uniform(double low, double high) {
  return [=](const Arrays& v) {
    Array y(v[0].shape);
    for (int64_t i = 0; i < y.numel(); ++i) y[i] = low + unit(i) * (high - low);
    return y;
  };
}

Reference naive_normal(double mean, double deviation) {
  return [=](const Arrays& v) {
    Array y(v[0].shape);
    for (int64_t i = 0; i < y.numel(); ++i) {
      const uint64_t index = static_cast<uint64_t>(call.offset + i);
      const bool wide = row_dtype() == DType::f64;
      const philox::Words w = philox::block_words(call, index / (wide ? 2 : 4));
      const bool later = index % 4 >= 2;
      const double u = wide ? std::ldexp(static_cast<double>((uint64_t{w.w0} << 32 | w.w1) >> 11) + 1, -53)
                            : std::ldexp(((later ? w.w2 : w.w0) >> 8) + 1.0, -24);
      const double t = wide ? std::ldexp(static_cast<double>((uint64_t{w.w2} << 32 | w.w3) >> 11), -53)
                            : std::ldexp((later ? w.w3 : w.w1) >> 8, -24);
      const double turn = 2 * std::acos(-1.0) * t;
      y[i] = mean + deviation * std::sqrt(-2 * std::log(u)) * (index % 2 ? std::sin(turn) : std::cos(turn));
    }
    return y;
  };
}

}  // namespace

OP_TABLE(random) {
  const RowOptions constant{.no_gradient = "a constant", .no_layouts = "the input is a shape"};
  RowOptions exact = constant;
  exact.exact = true;
  table.op("uniform")
      .row("unit", {input({3, 67}).untracked()}, uniform_between(0, 1), naive_uniform(0, 1), exact)
      .row("between bounds", {input({200}).untracked()}, uniform_between(-3, 5), naive_uniform(-3, 5), exact)
      .row("nothing", {input({0, 3}).untracked()}, uniform_between(0, 1), naive_uniform(0, 1), constant)
      .none(Cell::zero_sizes, "the row without elements has no gradient to test")
      .error<Error>("bounds", "uniform: bounds 2 and 1 do not hold a finite interval [low, high)",
                    [] { uniform({3}, 2, 1); })
      .error<DtypeError>("integers", "uniform: needs a floating dtype, got int32; …",
                         [] { uniform({3}, 0, 1, {.dtype = DType::i32}); });
  table.op("randn")
      .row("standard", {input({3, 67}).untracked()}, normal_around(0, 1), naive_normal(0, 1), constant)
      .row("mean and deviation", {input({200}).untracked()}, normal_around(2, 0.25), naive_normal(2, 0.25), constant)
      .row("nothing", {input({0, 3}).untracked()}, normal_around(0, 1), naive_normal(0, 1), constant)
      .none(Cell::zero_sizes, "the row without elements has no gradient to test")
      .error<Error>("deviation", "randn: mean 0 and deviation -1 must be finite, the deviation not negative",
                    [] { randn({3}, {}, 0, -1); })
      .error<DtypeError>("integers", "randn: needs a floating dtype, got bool; …",
                         [] { randn({3}, {.dtype = DType::boolean}); });
}

// From the known-answer tests published with the paper's Random123.
TEST_CASE("philox: known answers") {
  const auto check = [](philox::Words counter, uint32_t key0, uint32_t key1, std::initializer_list<uint32_t> expected) {
    const philox::Words w = philox::philox4x32(counter, key0, key1);
    CHECK(std::vector<uint32_t>{w.w0, w.w1, w.w2, w.w3} == std::vector<uint32_t>(expected));
  };
  check({0, 0, 0, 0}, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  check({~0u, ~0u, ~0u, ~0u}, ~0u, ~0u, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  check({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0,
        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniform: long runs, at any offset, hold the draws of their elements") {
  for (const int64_t offset : {int64_t{0}, int64_t{1}, int64_t{62}, int64_t{1} << 34}) {
    RandomCall at = call;
    at.offset = offset;
    const std::vector<float> y = ops::uniform({10007}, 0, 1, {}, at).to_vector<float>();
    int64_t wrong = 0;
    for (size_t i = 0; i < y.size(); ++i)
      wrong += y[i] != philox::unit<float>(philox::word_of(call, static_cast<uint64_t>(offset) + i));
    CHECK(wrong == 0);
  }
}

TEST_CASE("uniform: never reaches the upper bound") {
  for (const DType dtype : floating_dtypes) {
    const Array y = to_array(uniform({20000}, 0, 1, {.dtype = dtype}));
    for (const double v : y.values) REQUIRE((v >= 0 && v < 1));
    const Array shifted = to_array(uniform({20000}, 1000, 1000.5, {.dtype = dtype}));
    for (const double v : shifted.values) REQUIRE((v >= 1000 && v < 1000.5));
  }
}

TEST_CASE("uniform, randn: moments") {
  seed(1);
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Array u = to_array(uniform({100000}, 0, 1, {.dtype = dtype})),
                z = to_array(randn({100000}, {.dtype = dtype}));
    double mean = 0, square = 0, fourth = 0, flat = 0;
    for (int64_t i = 0; i < z.numel(); ++i) {
      flat += u[i] / 100000;
      mean += z[i] / 100000;
      square += z[i] * z[i] / 100000;
      fourth += std::pow(z[i], 4) / 100000;
    }
    CHECK(std::abs(flat - 0.5) < 0.004);
    CHECK(std::abs(mean) < 0.015);
    CHECK(std::abs(square - 1) < 0.02);
    CHECK(std::abs(fourth - 3) < 0.2);
  }
}

TEST_CASE("generator: seeds, calls, shares, threads") {
  seed(42);
  const std::vector<float> a = randn({5}).to_vector<float>(), b = randn({5}).to_vector<float>();
  CHECK(a != b);
  CHECK(default_generator().calls() == 2);
  seed(42);
  CHECK(randn({5}).to_vector<float>() == a);
  std::vector<float> elsewhere;
  std::thread([&] { elsewhere = randn({5}).to_vector<float>(); }).join();
  CHECK(elsewhere == a);  // a new thread starts at the seed
  {
    const GeneratorGuard guard{Generator(7)};
    CHECK(randn({5}).to_vector<float>() != b);
  }
  CHECK(randn({5}).to_vector<float>() == b);

  const auto share = [](int64_t from, int64_t samples) {
    Generator generator(3);
    generator.set_first_sample(from);
    const GeneratorGuard guard(generator);
    return uniform({samples, 7});
  };
  CHECK(concat({share(0, 2), share(2, 3)}, 0).to_vector<float>() == share(0, 5).to_vector<float>());
}

TEST_CASE("uniform, randn: the same bits on any number of threads, at any offset") {
  for (const int64_t offset : {0, 1, 6, 7}) {
    RandomCall at = call;
    at.offset = offset;
    const auto run = [&](int threads) {
      const int before = num_threads();
      set_num_threads(threads);
      const Tensor u = ops::uniform({50001}, 0, 1, {}, at), z = ops::normal({50001}, 0, 1, {}, at);
      set_num_threads(before);
      return std::pair{u.to_vector<float>(), z.to_vector<float>()};
    };
    const auto one = run(1);
    CHECK(run(2) == one);
    CHECK(run(3) == one);
  }
}
