// Dropout: the mask is a function of call and place alone.
#include "weft/autograd/ops/dropout.h"

#include <doctest/doctest.h>

#include <limits>

#include "tests/support/op_table.h"
#include "weft/autograd/ops/concat.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/ops/dropout.h"
#include "weft/tensor/philox.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

const RandomCall call{.seed = 0x123456789abcdef0u, .call = 5, .offset = 3};

OpFunction with(double p) {
  return [p](const Tensors& v) { return autograd::dropout(v[0], p, call); };
}

bool kept(double p, int64_t i) {
  return philox::word_of(call, static_cast<uint64_t>(call.offset + i)) >= static_cast<uint64_t>(p * 4294967296.0 + 0.5);
}

Reference naive(double p) {
  return [p](const Arrays& v) {
    Array y(v[0].shape);
    for (int64_t i = 0; i < y.numel(); ++i) y[i] = kept(p, i) ? v[0][i] / (1 - p) : 0;
    return y;
  };
}

}  // namespace

OP_TABLE(dropout) {
  table.op("dropout")
      .row("a vector", {input({100})}, with(0.5), naive(0.5))
      .row("rows", {input({7, 33})}, with(0.1), naive(0.1))
      .row("image", {input({2, 5, 3, 7})}, with(0.3), naive(0.3))
      .row("more columns than one group of draws, more channels than one tile", {input({1, 19, 9, 9})}, with(0.5),
           naive(0.5))
      .row("volume", {input({2, 3, 2, 3, 2})}, with(0.5), naive(0.5))
      .row("halves are exact", {input({50}).integers()}, with(0.5), naive(0.5), {.exact = true})
      .row("everything", {input({20})}, with(1), [](const Arrays& v) { return Array(v[0].shape); })
      .row("nothing", {input({20})}, with(0), [](const Arrays& v) { return v[0]; })
      .row("no elements", {input({0, 3})}, with(0.5), naive(0.5))
      .error<Error>("p", "dropout: p is 1.5; …", [] { dropout(ones({3}), 1.5); })
      .error<DtypeError>("integers", "dropout: needs a floating dtype, got int64…",
                         [] { autograd::dropout(ones({3}, {.dtype = DType::i64}), 0.5, call); });
}

TEST_CASE("dropout: only in training, and then a new mask for every call") {
  const Tensor x = ones({1000});
  CHECK(dropout(x, 0.5).same(x));
  const autograd::TrainMode train;
  CHECK(dropout(x, 0).same(x));
  seed(7);
  const std::vector<float> first = dropout(x, 0.25).to_vector<float>(), second = dropout(x, 0.25).to_vector<float>();
  CHECK(first != second);
  seed(7);
  CHECK(dropout(x, 0.25).to_vector<float>() == first);
  double mean = 0;
  for (const float v : first) mean += v / 1000;
  CHECK(mean == doctest::Approx(1).epsilon(0.06));
}

TEST_CASE("dropout: the mask does not depend on how a batch is split") {
  const autograd::TrainMode train;
  const Tensor x = ones({6, 3, 5, 5});
  const auto share = [&](int64_t from, int64_t to) {
    Generator generator(11);
    generator.set_first_sample(from);
    const GeneratorGuard guard(generator);
    return dropout(x.slice(0, from, to), 0.5);
  };
  const std::vector<float> whole = share(0, 6).to_vector<float>();
  CHECK(concat({share(0, 1), share(1, 4), share(4, 6)}, 0).to_vector<float>() == whole);
  CHECK(std::count(whole.begin(), whole.end(), 0.0f) > 150);
}

TEST_CASE("dropout: what is dropped is zero, whatever it was") {
  const Tensor x = full({64}, std::numeric_limits<double>::infinity());
  const std::vector<float> y = ops::dropout(x, 0.5, call).to_vector<float>();
  for (int64_t i = 0; i < 64; ++i)
    CHECK(y[static_cast<size_t>(i)] == (kept(0.5, i) ? std::numeric_limits<float>::infinity() : 0.0f));
}

TEST_CASE("dropout: long runs of channels-last data at any alignment") {
  for (const int64_t side : {1, 8, 13}) {
    const Tensor x = ones({3, 21, side, side + 6});
    const std::vector<float> y = ops::dropout(x.contiguous(Layout::channels_last), 0.5, call).to_vector<float>();
    int64_t wrong = 0;
    for (int64_t i = 0; i < x.numel(); ++i) wrong += (y[static_cast<size_t>(i)] == 2.0f) != kept(0.5, i);
    CHECK(wrong == 0);
  }
}

TEST_CASE("dropout: the same bits on any number of threads") {
  for (const Layout layout : {Layout::row_major, Layout::channels_last}) {
    const Tensor x = ones({5, 33, 29, 31}).contiguous(layout);
    const auto run = [&](int threads) {
      const int before = num_threads();
      set_num_threads(threads);
      const Tensor y = ops::dropout(x, 0.5, call);
      set_num_threads(before);
      return y.to_vector<float>();
    };
    const std::vector<float> one = run(1);
    CHECK(run(2) == one);
    CHECK(run(3) == one);
  }
}
