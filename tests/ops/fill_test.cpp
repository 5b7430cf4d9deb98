// Filling and counting.
#include "weft/tensor/ops/fill.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/op_table.h"
#include "weft/autograd/ops/binary.h"

using namespace weft;
using namespace weft::test;

namespace {

const std::vector<DType> number_dtypes = {DType::f64, DType::f32, DType::f16, DType::bf16,
                                          DType::i64, DType::i32, DType::u8};

TensorOptions here() { return {.dtype = row_dtype(), .device = current_device()}; }

}  // namespace

OP_TABLE(fill) {
  const char* const no_gradient = "it makes constants";
  table.op("fill_")
      .row("dense", {input({5, 60}).untracked()}, [](const Tensors& v) { return v[0].clone().fill_(3); },
           expected({5, 60}, std::vector<double>(300, 3)),
           {.dtypes = number_dtypes, .exact = true, .no_gradient = no_gradient})
      .row(
          "every second column", {input({3, 4}).integers().untracked()},
          [](const Tensors& v) {
            const Tensor y = v[0].clone();
            y.slice(1, 0, 4, 2).fill_(1);
            return y;
          },
          [](const Arrays& v) {
            Array y = v[0];
            for (int i = 0; i < 3; ++i) y(i, 0) = y(i, 2) = 1;
            return y;
          },
          {.dtypes = all_dtypes, .exact = true, .no_gradient = no_gradient})
      .row("no elements", {input({0, 4}).untracked()}, [](const Tensors& v) { return v[0].clone().fill_(3); },
           expected({0, 4}, {}), {.no_gradient = no_gradient})
      .error<ShapeError>("shared elements", "fill_: elements of the destination share memory …", [] {
        ones({3}).expand({2, 3}).fill_(0);
      });
  table.op("arange")
      .row("up", {}, [](const Tensors&) { return arange(1, 10, 2, here()); }, expected({5}, {1, 3, 5, 7, 9}),
           {.dtypes = number_dtypes, .exact = true, .no_gradient = no_gradient, .no_layouts = "it has no input"})
      .row("down by halves", {}, [](const Tensors&) { return arange(1, -1, -0.5, here()); },
           expected({4}, {1, 0.5, 0, -0.5}),
           {.exact = true, .no_gradient = no_gradient, .no_layouts = "it has no input"})
      .none(Cell::zero_sizes, "it has no input; arange(0, 0) is tested below")
      .error<Error>("step", "arange: from 0 to 3 by 0; …", [] { arange(0, 3, 0); })
      .error<DtypeError>("bool", "arange: bool does not count; …", [] { arange(0, 2, 1, {.dtype = DType::boolean}); });
}

TEST_CASE("fill: values are converted to the dtype, versions advance, new tensors start anew") {
  CHECK(full({2}, 300, {.dtype = DType::u8}).to_vector<int>() == std::vector<int>{255, 255});
  CHECK(full({2}, 0.1, {.dtype = DType::f16}).to_vector<float>()[0] == static_cast<float>(Half(0.1f)));
  CHECK(full({1}, std::nan(""), {.dtype = DType::bf16}).to_vector<float>()[0] != 0);
  CHECK(full({2}, 5, {.dtype = DType::boolean}).to_vector<uint8_t>() == std::vector<uint8_t>{1, 1});
  Tensor x = zeros({100000});
  CHECK(x.storage().version() == 0);
  x.fill_(2);
  CHECK(x.storage().version() == 1);
  CHECK(x.to_vector<float>() == std::vector<float>(100000, 2));
}

TEST_CASE("arange: counts what lies before the end") {
  CHECK(arange(0, 0).numel() == 0);
  CHECK(arange(3, 0).numel() == 0);
  CHECK(arange(0, 1, 0.25).numel() == 4);
  CHECK(arange(0, 1.01, 0.25).numel() == 5);
  CHECK(arange(0, 200000, 1, {.dtype = DType::i64}).to_vector<int64_t>()[199999] == 199999);
  CHECK(throws<Error>("arange: from 0 to inf by 1; …", [] { arange(0, INFINITY); }) == "");
}
