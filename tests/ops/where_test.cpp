// where: choices between tensors and numbers, broadcast.
#include "weft/tensor/ops/where.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/op_table.h"
#include "weft/autograd/ops/where.h"

using namespace weft;
using namespace weft::test;

namespace {

Tensor choose(const Tensors& v) { return where(v[0], v[1], v[2]); }

Array naive(const Arrays& v) {
  const Array yes = zip(v[0], v[1], [](double c, double a) { return c != 0 ? a : 0; });
  const Array no = zip(v[0], v[2], [](double c, double b) { return c != 0 ? 0 : b; });
  return zip(yes, no, [](double a, double b) { return a + b; });
}

Input mask(const Shape& shape) { return input(shape).integers(0, 1).dtype(DType::boolean); }

}  // namespace

OP_TABLE(where) {
  table.op("where")
      .row("same shape", {mask({3, 4, 5}), input({3, 4, 5}), input({3, 4, 5})}, choose, naive)
      .row("mask of images", {mask({2, 1, 4, 5}), input({2, 3, 4, 5}), input({2, 3, 4, 5})}, choose, naive)
      .row("everything broadcasts", {mask({4, 1}), input({3, 1, 1}), input({7})}, choose, naive)
      .row("long rows", {mask({3, 300}), input({300}), input({3, 1})}, choose, naive)
      .row(
          "against a number", {mask({3, 37}), input({3, 37})}, [](const Tensors& v) { return where(v[0], v[1], 0.5); },
          [](const Arrays& v) { return zip(v[0], v[1], [](double c, double a) { return c != 0 ? a : 0.5; }); })
      .row(
          "a number first", {mask({3, 37}), input({37})}, [](const Tensors& v) { return where(v[0], -2, v[1]); },
          [](const Arrays& v) { return zip(v[0], v[1], [](double c, double b) { return c != 0 ? -2 : b; }); })
      .row("every dtype", {mask({5, 6}), input({5, 6}).integers(), input({6}).integers()}, choose, naive,
           {.dtypes = all_dtypes, .exact = true})
      .row("no elements", {mask({0, 3}), input({3}), input({1})}, choose, naive)
      .row("rank 0", {mask({}), input({}), input({})}, choose, naive)
      .error<DtypeError>("condition", "where: the condition is float32, not bool; …",
                         [] { where(ones({2}), ones({2}), ones({2})); })
      .error<ShapeError>("shapes", "where: shapes [2] and [3] do not broadcast …",
                         [] { where(ones({2}, {.dtype = DType::boolean}), ones({3}), ones({3})); })
      .error<DeviceError>("devices", "where: operands on cpu:0 and cpu:1; …", [] {
        where(ones({2}, {.dtype = DType::boolean}), ones({2}, {.device = "cpu:1"}), ones({2}));
      });
}

TEST_CASE("where: the side not chosen has no influence, not even NaN, and gets no gradient from it") {
  const float nan = std::nanf("");
  const Tensor y = where(tensor({true, false}), tensor({1.0f, nan}), tensor({nan, 2.0f}));
  CHECK(y.to_vector<float>() == std::vector<float>{1, 2});
}

TEST_CASE("where: operands of two dtypes meet in one") {
  const Tensor y = where(tensor({true, false}), tensor({int64_t{3}, int64_t{4}}), tensor({0.5f, 0.25f}));
  CHECK(y.dtype() == DType::f32);
  CHECK(y.to_vector<float>() == std::vector<float>{3, 0.25f});
}
