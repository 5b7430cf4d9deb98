// split, split_sizes, chunk, narrow: views of parts.
#include "weft/autograd/ops/split.h"

#include <doctest/doctest.h>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/concat.h"
#include "weft/autograd/record_scope.h"

using namespace weft;
using namespace weft::test;

namespace {

// Positions of `from` along the axis, in this order.
Array picked(const Array& x, int axis, const std::vector<int64_t>& from) {
  Shape shape = x.shape;
  shape[axis] = static_cast<int64_t>(from.size());
  int64_t inner = 1;
  for (int d = axis + 1; d < shape.rank(); ++d) inner *= shape[d];
  Array y(shape);
  const int64_t n = x.shape[axis], m = shape[axis];
  for (int64_t i = 0; i < y.numel(); ++i) y[i] = x[(i / (m * inner) * n + from[i / inner % m]) * inner + i % inner];
  return y;
}
Reference picks(int axis, const std::vector<int64_t>& from) {
  return [axis, from](const Arrays& v) { return picked(v[0], axis, from); };
}

// The last part before the first; those between get no gradient.
Tensor ends(const Tensors& parts, int64_t axis) { return concat({parts.back(), parts.front()}, axis); }

std::vector<int64_t> extents(const Tensors& parts, int axis) {
  std::vector<int64_t> list;
  for (const Tensor& x : parts) list.push_back(x.size(axis));
  return list;
}

const RowOptions every_dtype{.dtypes = all_dtypes, .exact = true};

}  // namespace

OP_TABLE(split) {
  table.op("split")
      .row(
          "rows", {input({7, 3})}, [](const Tensors& v) { return ends(split(v[0], 3), 0); }, picks(0, {6, 0, 1, 2}))
      .row(
          "columns", {input({2, 6, 2})}, [](const Tensors& v) { return ends(split(v[0], 2, -2), 1); },
          picks(1, {4, 5, 0, 1}))
      .row(
          "dtypes", {input({4, 2}).integers()}, [](const Tensors& v) { return ends(split(v[0], 2), 0); },
          picks(0, {2, 3, 0, 1}), every_dtype)
      .row(
          "no elements", {input({0, 2})}, [](const Tensors& v) { return split(v[0], 2)[0]; }, expected({0, 2}, {}))
      .error<ShapeError>("size", "split: parts of 0 elements; …", [] { split(ones({3}), 0); })
      .error<IndexError>("axis", "split: axis 1 is out of range …", [] { split(ones({3}), 1, 1); });
  table.op("split_sizes")
      .row(
          "uneven", {input({3, 6})},
          [](const Tensors& v) {
            return ends(split_sizes(v[0], {1, 3, 0, 2}, 1), 1);
          },
          picks(1, {4, 5, 0}))
      .row(
          "dtypes", {input({4, 2}).integers()},
          [](const Tensors& v) {
            return split_sizes(v[0], {1, 3})[1];
          },
          picks(0, {1, 2, 3}), every_dtype)
      .row(
          "no elements", {input({0})},
          [](const Tensors& v) {
            return split_sizes(v[0], {0, 0})[1];
          },
          expected({0}, {}))
      .error<ShapeError>("too few",
                         "split_sizes: 1 elements are left over along axis 0 of shape [4]; sizes must add up to 4",
                         [] {
                           split_sizes(ones({4}), {1, 2});
                         })
      .error<ShapeError>("too many", "split_sizes: a part of 4 where 3 elements are left along axis 0 of shape [4]; …",
                         [] {
                           split_sizes(ones({4}), {1, 4});
                         });
  table.op("chunk")
      .row(
          "rows", {input({7, 2})}, [](const Tensors& v) { return ends(chunk(v[0], 3), 0); }, picks(0, {6, 0, 1, 2}))
      .row(
          "dtypes", {input({2, 4}).integers()}, [](const Tensors& v) { return ends(chunk(v[0], 2, 1), 1); },
          picks(1, {2, 3, 0, 1}), every_dtype)
      .row(
          "no elements", {input({0, 2})}, [](const Tensors& v) { return chunk(v[0], 3)[0]; }, expected({0, 2}, {}))
      .error<ShapeError>("count", "chunk: 0 parts; …", [] { chunk(ones({3}), 0); });
  table.op("narrow")
      .row(
          "columns", {input({3, 6})}, [](const Tensors& v) { return narrow(v[0], 1, 2, 3); }, picks(1, {2, 3, 4}))
      .row(
          "from the end", {input({3, 6})}, [](const Tensors& v) { return narrow(v[0], -1, -2, 2); }, picks(1, {4, 5}))
      .row(
          "dtypes", {input({5}).integers()}, [](const Tensors& v) { return narrow(v[0], 0, 1, 2); }, picks(0, {1, 2}),
          every_dtype)
      .row(
          "no elements", {input({3, 0})}, [](const Tensors& v) { return narrow(v[0], 0, 3, 0); }, expected({0, 0}, {}))
      .error<IndexError>("past the end", "narrow: 3 elements from 2 are not all within axis 0 of shape [4]",
                         [] { narrow(ones({4}), 0, 2, 3); })
      .error<IndexError>("before the start", "narrow: 1 elements from -5 are not all within axis 0 of shape [4]",
                         [] { narrow(ones({4}), 0, -5, 1); });
}

TEST_CASE("split and chunk: how many parts, of which extents; all are views") {
  using Sizes = std::vector<int64_t>;
  const Tensor x = ones({7, 2});
  CHECK(extents(split(x, 3), 0) == Sizes{3, 3, 1});
  CHECK(extents(split(x, 9), 0) == Sizes{7});
  CHECK(extents(split(x, 1, 1), 1) == Sizes{1, 1});
  CHECK(extents(chunk(x, 7), 0) == Sizes{1, 1, 1, 1, 1, 1, 1});
  CHECK(extents(chunk(x, 4), 0) == Sizes{2, 2, 2, 1});
  CHECK(extents(chunk(x, 5), 0) == Sizes{2, 2, 2, 1});
  for (const Tensor& part : split(x, 3)) CHECK(&part.storage() == &x.storage());
}

TEST_CASE("split: only the parts that are used get a gradient, the others zeros") {
  Tensor x = ones({5});
  x.attach_grad();
  Tensor y;
  {
    const autograd::Record record;
    y = split(x, 2)[1].sum();
  }
  y.backward();
  CHECK(x.grad().to_vector<float>() == std::vector<float>{0, 0, 1, 1, 0});
}
