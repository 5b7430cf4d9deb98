// linspace, eye, tensors like others, draws of zeros and ones, permutations.
#include "weft/tensor/creation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/support/op_table.h"
#include "weft/autograd/ops/concat.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::test;

namespace {

TensorOptions here() { return {.dtype = row_dtype(), .device = current_device()}; }

const std::vector<DType> number_dtypes = {DType::f64, DType::f32, DType::f16, DType::bf16,
                                          DType::i64, DType::i32, DType::u8};

// The function with a generator of its own, so that every run draws the same.
OpFunction seeded(OpFunction f) {
  return [f = std::move(f)](const Tensors& v) {
    const GeneratorGuard guard(Generator(77));
    return f(v);
  };
}
double unit(int64_t i) {
  const RandomCall call{.seed = 77};
  if (row_dtype() == DType::f64)
    return std::ldexp(static_cast<double>(philox::long_word_of(call, static_cast<uint64_t>(i)) >> 11), -53);
  return std::ldexp(static_cast<double>(philox::word_of(call, static_cast<uint64_t>(i)) >> 8), -24);
}

}  // namespace

OP_TABLE(creation) {
  const char* const constant = "it makes constants";
  const RowOptions plain{.no_gradient = constant, .no_layouts = "it has no input"};
  RowOptions exact = plain;
  exact.exact = true;
  const char* const tested_below = "the row without elements has no gradient to test";
  table.op("linspace")
      .row(
          "up", {}, [](const Tensors&) { return linspace(-1, 1, 5, here()); }, expected({5}, {-1, -0.5, 0, 0.5, 1}),
          exact)
      .row(
          "down", {}, [](const Tensors&) { return linspace(2, 0, 4, here()); }, expected({4}, {2, 4.0 / 3, 2.0 / 3, 0}),
          plain)
      .row(
          "one", {}, [](const Tensors&) { return linspace(3, 9, 1, here()); }, expected({1}, {3}), exact)
      .row(
          "none", {}, [](const Tensors&) { return linspace(3, 9, 0, here()); }, expected({0}, {}), exact)
      .none(Cell::zero_sizes, tested_below)
      .error<Error>("bounds", "linspace: 3 numbers from 0 to inf; …", [] { linspace(0, INFINITY, 3); })
      .error<DtypeError>("integers", "linspace: needs a floating dtype, got int64; …",
                         [] { linspace(0, 1, 3, {.dtype = DType::i64}); });
  RowOptions all = exact;
  all.dtypes = all_dtypes;
  table.op("eye")
      .row(
          "square", {}, [](const Tensors&) { return eye(3, -1, here()); },
          expected({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1}), all)
      .row(
          "wide", {}, [](const Tensors&) { return eye(2, 3, here()); }, expected({2, 3}, {1, 0, 0, 0, 1, 0}), all)
      .row(
          "tall", {}, [](const Tensors&) { return eye(3, 2, here()); }, expected({3, 2}, {1, 0, 0, 1, 0, 0}), all)
      .row(
          "none", {}, [](const Tensors&) { return eye(0, 2, here()); }, expected({0, 2}, {}), all)
      .none(Cell::zero_sizes, tested_below)
      .error<ShapeError>("shape", "eye: -1 rows and -1 columns", [] { eye(-1); });
  RowOptions like{.exact = true, .no_gradient = constant};
  table.op("full_like")
      .row(
          "of three", {input({3, 4, 5}).untracked()}, [](const Tensors& v) { return full_like(v[0], 3); },
          [](const Arrays& v) { return Array(v[0].shape, 3); }, like)
      .row(
          "none", {input({3, 0}).untracked()}, [](const Tensors& v) { return full_like(v[0], 3); },
          [](const Arrays& v) { return Array(v[0].shape, 3); }, like)
      .none(Cell::zero_sizes, tested_below)
      .none(Cell::errors, "it takes everything");
  const auto naive_units = [](const Arrays& v) {
    Array y(v[0].shape);
    for (int64_t i = 0; i < y.numel(); ++i) y[i] = unit(i);
    return y;
  };
  like.dtypes = {DType::f64, DType::f32};
  table.op("rand_like")
      .row("units", {input({3, 4, 5}).untracked()}, seeded([](const Tensors& v) { return rand_like(v[0]); }),
           naive_units, like)
      .none(Cell::zero_sizes, "uniform has it")
      .error<DtypeError>("integers", "uniform: needs a floating dtype, got int64; …",
                         [] { rand_like(ones({2}, {.dtype = DType::i64})); });
  like.dtypes = floating_dtypes;
  table.op("bernoulli")
      .row(
          "probabilities", {input({3, 4, 25}).range(-0.25, 1.25).untracked()},
          seeded([](const Tensors& v) { return bernoulli(v[0]); }),
          [](const Arrays& v) {
            Array y = v[0];
            for (int64_t i = 0; i < y.numel(); ++i) y[i] = unit(i) < y[i];
            return y;
          },
          like)
      .row(
          "one probability", {}, seeded([](const Tensors&) { return bernoulli({67}, 0.375, here()); }),
          [](const Arrays&) {
            Array y({67});
            for (int64_t i = 0; i < 67; ++i) y[i] = unit(i) < 0.375;
            return y;
          },
          all)
      .row("none", {input({0, 4}).untracked()}, seeded([](const Tensors& v) { return bernoulli(v[0]); }),
           expected({0, 4}, {}), like)
      .none(Cell::zero_sizes, tested_below)
      .error<Error>("p", "bernoulli: p is 1.5; …", [] { bernoulli({3}, 1.5); })
      .error<DtypeError>("integers", "bernoulli: needs a floating dtype, got int64; …",
                         [] { bernoulli(ones({2}, {.dtype = DType::i64})); });
  RowOptions numbers = exact;
  numbers.dtypes = number_dtypes;
  // From the definition, computed apart: for i = 6 … 1 exchange i and (draw i) (i + 1) / 2^64.
  table.op("randperm")
      .row("seven", {}, seeded([](const Tensors&) { return randperm(7, here()); }),
           expected({7}, {2, 3, 4, 1, 5, 6, 0}), numbers)
      .row("none", {}, seeded([](const Tensors&) { return randperm(0, here()); }), expected({0}, {}), numbers)
      .none(Cell::zero_sizes, tested_below)
      .error<ShapeError>("n", "randperm: n is -1; …", [] { randperm(-1); })
      .error<DtypeError>("u8", "randperm: uint8 does not hold 0 … 256; …", [] { randperm(257, {.dtype = DType::u8}); })
      .error<DtypeError>("f16", "randperm: float16 does not hold 0 … 2050; …",
                         [] { randperm(2051, {.dtype = DType::f16}); });
}

TEST_CASE("linspace: both ends are exact and symmetric bounds give symmetric numbers") {
  for (const int64_t n : {2, 3, 10, 49, 1000}) {
    const std::vector<double> y = linspace(-0.3, 0.3, n, {.dtype = DType::f64}).to_vector<double>();
    CHECK(y.front() == -0.3);
    CHECK(y.back() == 0.3);
    for (size_t i = 0; i < y.size(); ++i) CHECK(y[i] == -y[y.size() - 1 - i]);
  }
  CHECK(linspace(-1e308, 1e308, 3, {.dtype = DType::f64}).to_vector<double>() == std::vector<double>{-1e308, 0, 1e308});
}

TEST_CASE("like: shape, order in memory, dtype and device follow unless given") {
  const Tensor image = ones({2, 3, 4, 5}, {.dtype = DType::f16}).contiguous(Layout::channels_last);
  const Tensor same = full_like(image, 2), other = zeros_like(image, {.dtype = DType::i32, .device = "cpu:1"});
  CHECK(same.strides() == image.strides());
  CHECK(same.dtype() == DType::f16);
  CHECK(other.strides() == image.strides());
  CHECK(other.dtype() == DType::i32);
  CHECK(other.device() == Device("cpu:1"));
  CHECK(ones_like(image, {.dtype = DType::boolean}).to_vector<int>() == std::vector<int>(120, 1));
  CHECK(full_like(image.slice(3, 0, 5, 2), 1).numel() == 72);
  CHECK(randn_like(image, {.dtype = DType::f64}).dtype() == DType::f64);
  const GeneratorGuard guard(Generator(5));
  const std::vector<float> a = randn_like(image, {.dtype = DType::f32}).to_vector<float>();
  default_generator() = Generator(5);
  CHECK(randn({2, 3, 4, 5}).to_vector<float>() == a);  // logical order, whatever the layout
}

TEST_CASE("bernoulli: shares of a batch draw what the whole batch draws") {
  const Tensor p = full({6, 50}, 0.3);
  const GeneratorGuard guard(Generator(9));
  const std::vector<float> whole = bernoulli(p).to_vector<float>();
  std::vector<float> parts;
  for (int64_t first = 0; first < 6; first += 2) {
    Generator share(9);
    share.set_first_sample(first);
    default_generator() = share;
    const std::vector<float> part = bernoulli(p.slice(0, first, first + 2)).to_vector<float>();
    parts.insert(parts.end(), part.begin(), part.end());
    // A permutation belongs to the whole batch.
    CHECK(randperm(20).to_vector<int>() == [] {
      const GeneratorGuard own(Generator(9));
      default_generator().set_calls(1);
      return randperm(20).to_vector<int>();
    }());
  }
  CHECK(parts == whole);
  int64_t count = 0;
  for (const float v : bernoulli({100000}, 0.3).to_vector<float>()) count += v == 1;
  CHECK(std::abs(static_cast<double>(count) / 100000 - 0.3) < 0.006);
  for (const float v : bernoulli({1000}, 1).to_vector<float>()) REQUIRE(v == 1);
  for (const float v : bernoulli({1000}, 0).to_vector<float>()) REQUIRE(v == 0);
}

TEST_CASE("randperm: a permutation, another one each call, the same for a seed, all orders alike") {
  seed(3);
  const std::vector<int64_t> a = randperm(1000).to_vector<int64_t>(), b = randperm(1000).to_vector<int64_t>();
  std::vector<int64_t> sorted = a;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == arange(0, 1000, 1, {.dtype = DType::i64}).to_vector<int64_t>());
  CHECK(a != b);
  seed(3);
  CHECK(randperm(1000).to_vector<int64_t>() == a);
  std::map<std::vector<int>, int> orders;
  for (int i = 0; i < 6000; ++i) ++orders[randperm(3).to_vector<int>()];
  CHECK(orders.size() == 6);
  double chi_square = 0;
  for (const auto& [order, count] : orders) chi_square += (count - 1000.0) * (count - 1000.0) / 1000;
  CHECK(chi_square < 20.5);  // five degrees of freedom: one seed in a thousand is above
}
