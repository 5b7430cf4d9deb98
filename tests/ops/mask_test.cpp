// masked_fill, triu, tril, one_hot.
#include "weft/autograd/ops/mask.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"

using namespace weft;
using namespace weft::test;

namespace {

Input mask(const Shape& shape) { return input(shape).integers(0, 1).dtype(DType::boolean); }

Tensor fill(const Tensors& v) { return masked_fill(v[0], v[1], 0.5); }
Array filled(const Arrays& v) {
  return zip(v[0], v[1], [](double x, double m) { return m != 0 ? 0.5 : x; });
}

// Keeps elements by their column - row.
Reference kept(const std::function<bool(int64_t)>& keep) {
  return [keep](const Arrays& v) {
    Array y = v[0];
    const int64_t rows = y.size(-2), columns = y.size(-1);
    for (int64_t i = 0; i < y.numel(); ++i)
      if (!keep(i % columns - i / columns % rows)) y[i] = 0;
    return y;
  };
}

OpFunction encodes(int64_t classes) {
  return [=](const Tensors& v) { return one_hot(v[0], classes); };
}
Reference encoded(int64_t classes) {
  return [classes](const Arrays& v) {
    Shape shape = v[0].shape;
    shape.push_back(classes);
    Array y(shape);
    for (int64_t i = 0; i < v[0].numel(); ++i) y[i * classes + static_cast<int64_t>(v[0][i])] = 1;
    return y;
  };
}

const RowOptions every_dtype{.dtypes = all_dtypes, .exact = true};
const RowOptions code{.dtypes = {DType::f32}, .exact = true, .no_gradient = "an index has none"};

}  // namespace

OP_TABLE(mask) {
  table.op("masked_fill")
      .row("same shape", {input({3, 4, 5}), mask({3, 4, 5})}, fill, filled)
      .row("mask of columns", {input({2, 3, 7}), mask({7})}, fill, filled)
      .row("rank 0", {input({}), mask({})}, fill, filled)
      .row(
          "dtypes", {input({3, 4}).integers(), mask({3, 1})},
          [](const Tensors& v) { return masked_fill(v[0], v[1], 1); },
          [](const Arrays& v) { return zip(v[0], v[1], [](double x, double m) { return m != 0 ? 1 : x; }); },
          every_dtype)
      .row("no elements", {input({0, 3}), mask({3})}, fill, filled)
      .error<DtypeError>("mask", "masked_fill: the mask is float32, not bool; …",
                         [] { masked_fill(ones({2}), ones({2}), 0); })
      .error<ShapeError>("shape", "masked_fill: a mask of shape [2, 3] does not broadcast to [3]", [] {
        masked_fill(ones({3}), ones({2, 3}, {.dtype = DType::boolean}), 0);
      });
  table.op("triu")
      .row(
          "square", {input({5, 5})}, [](const Tensors& v) { return triu(v[0]); },
          kept([](int64_t d) { return d >= 0; }))
      .row(
          "batch, above the diagonal", {input({2, 4, 6})}, [](const Tensors& v) { return triu(v[0], 2); },
          kept([](int64_t d) { return d >= 2; }))
      .row(
          "dtypes", {input({4, 3}).integers()}, [](const Tensors& v) { return triu(v[0], -1); },
          kept([](int64_t d) { return d >= -1; }), every_dtype)
      .row(
          "no elements", {input({2, 0, 3})}, [](const Tensors& v) { return triu(v[0]); }, expected({2, 0, 3}, {}))
      .error<ShapeError>("rank", "triu: shape [3] has no last two axes; …", [] { triu(ones({3})); });
  table.op("tril")
      .row(
          "square", {input({5, 5})}, [](const Tensors& v) { return tril(v[0]); },
          kept([](int64_t d) { return d <= 0; }))
      .row(
          "batch, below the diagonal", {input({2, 4, 6})}, [](const Tensors& v) { return tril(v[0], -2); },
          kept([](int64_t d) { return d <= -2; }))
      .row(
          "dtypes", {input({4, 3}).integers()}, [](const Tensors& v) { return tril(v[0], 1); },
          kept([](int64_t d) { return d <= 1; }), every_dtype)
      .row(
          "no elements", {input({0, 3})}, [](const Tensors& v) { return tril(v[0]); }, expected({0, 3}, {}))
      .error<ShapeError>("rank", "tril: shape [] has no last two axes; …", [] { tril(ones({})); });
  const Input labels = input({4, 3}).integers(0, 4);
  table.op("one_hot")
      .row("labels", {input({4, 3}).labels(5)}, encodes(5), encoded(5), code)
      .row("32-bit labels", {labels.dtype(DType::i32)}, encodes(5), encoded(5), code)
      .row("one label", {input({}).labels(3)}, encodes(3), encoded(3), code)
      .row("every dtype", {input({7}).labels(3)}, [](const Tensors& v) { return one_hot(v[0], 3, row_dtype()); },
           encoded(3), {.dtypes = all_dtypes, .exact = true, .no_gradient = "an index has none"})
      .row("no labels", {input({0, 2}).labels(3)}, encodes(3), expected({0, 2, 3}, {}), code)
      .error<IndexError>("range", "one_hot: index 3 at [1] is out of range [0, 3); …",
                         [] {
                           one_hot(tensor({0, 3}), 3);
                         })
      .error<DtypeError>("dtype", "one_hot: the index is float32, not int64 or int32; …", [] { one_hot(ones({2}), 3); })
      .error<ShapeError>("classes", "one_hot: -1 classes; …", [] { one_hot(tensor({0}), -1); });
}

TEST_CASE("one_hot: of the dtype asked for") {
  CHECK(one_hot(tensor({1}), 2).dtype() == DType::f32);
  CHECK(one_hot(tensor({1}), 2, DType::i64).dtype() == DType::i64);
  CHECK(one_hot(tensor({1}), 2, DType::boolean).to_vector<bool>() == std::vector<bool>{false, true});
}

TEST_CASE("masked_fill: what is masked has no influence, not even NaN") {
  const Tensor y = masked_fill(tensor({std::nanf(""), 2.0f}), tensor({true, false}), -1);
  CHECK(y.to_vector<float>() == std::vector<float>{-1, 2});
}

TEST_CASE("one_hot: on CUDA a label out of range is reported at the next synchronisation") {
  if (!cuda_or_skip()) return;
  CHECK(throws<IndexError>("one_hot: an index is out of range; … (first at flat position 1)", [] {
          one_hot(tensor({0, 3}, "cuda:0"), 3).wait();
        }) == "");
}
