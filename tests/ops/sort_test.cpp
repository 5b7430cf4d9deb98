// sort, topk, argsort: stable, with a place for NaN, from one element to rows of several tiles.
#include "weft/autograd/ops/sort.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"
#include "weft/autograd/ops/gather.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

bool before(double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; }

// The first `count` positions in order, by the standard library's stable sort.
std::vector<int64_t> order_of(const std::vector<double>& row, int64_t count, bool descending) {
  std::vector<int64_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const double left = row[static_cast<size_t>(a)], right = row[static_cast<size_t>(b)];
    return descending ? before(right, left) : before(left, right);
  });
  order.resize(static_cast<size_t>(count));
  return order;
}

// count < 0: all.
Array naive(const Array& x, int axis, int64_t count, bool descending, bool index) {
  const int64_t n = x.shape[axis];
  count = count < 0 ? n : count;
  Shape shape = x.shape;
  shape[axis] = count;
  int64_t inner = 1;
  for (int d = axis + 1; d < shape.rank(); ++d) inner *= shape[d];
  Array y(shape);
  for (int64_t r = 0; r < x.numel() / std::max<int64_t>(n, 1); ++r) {
    const int64_t outer = r / inner, in = r % inner;
    std::vector<double> row;
    for (int64_t i = 0; i < n; ++i) row.push_back(x[(outer * n + i) * inner + in]);
    const std::vector<int64_t> order = order_of(row, count, descending);
    for (int64_t j = 0; j < count; ++j) {
      const int64_t at = order[static_cast<size_t>(j)];
      y[(outer * count + j) * inner + in] = index ? static_cast<double>(at) : row[static_cast<size_t>(at)];
    }
  }
  return y;
}

OpFunction sorts(int64_t axis, bool descending = false) {
  return [=](const Tensors& v) { return sort(v[0], axis, descending).values; };
}
Reference sorted(int axis, bool descending = false) {
  return [=](const Arrays& v) { return naive(v[0], axis, -1, descending, false); };
}
OpFunction tops(int64_t k, int64_t axis, bool largest = true) {
  return [=](const Tensors& v) { return topk(v[0], k, axis, largest).values; };
}
Reference topped(int64_t k, int axis, bool largest = true) {
  return [=](const Arrays& v) { return naive(v[0], axis, k, largest, false); };
}
OpFunction argsorts(int64_t axis, bool descending = false) {
  return [=](const Tensors& v) { return argsort(v[0], axis, descending); };
}
Reference argsorted(int axis, bool descending = false) {
  return [=](const Arrays& v) { return naive(v[0], axis, -1, descending, true); };
}

const RowOptions with_ties{
    .dtypes = all_dtypes, .exact = true, .no_gradient = "equal elements change places under differences"};
const RowOptions index_only{.dtypes = all_dtypes, .result = DType::i64, .no_gradient = "positions have none"};

}  // namespace

OP_TABLE(sort) {
  table.op("sort")
      .row("rows", {input({4, 9}).distinct()}, sorts(-1), sorted(1))
      .row("columns", {input({9, 4}).distinct()}, sorts(0), sorted(0))
      .row("channels, descending", {input({2, 7, 3, 4}).distinct()}, sorts(1, true), sorted(1, true))
      .row("a row of 100", {input({2, 100}).distinct()}, sorts(1), sorted(1))
      .row("one element", {input({3, 1}).distinct()}, sorts(1), sorted(1))
      .row("dtypes", {input({3, 40}).integers()}, sorts(1), sorted(1), with_ties)
      .row("dtypes, descending", {input({3, 70}).integers()}, sorts(1, true), sorted(1, true), with_ties)
      .row("no elements", {input({3, 0})}, sorts(1), expected({3, 0}, {}))
      .row("no rows", {input({0, 3})}, sorts(1), expected({0, 3}, {}))
      .error<IndexError>("axis", "sort: axis 2 is out of range …",
                         [] {
                           sort(ones({2, 3}), 2);
                         })
      .error<IndexError>("rank 0", "sort: axis -1 is out of range …", [] { sort(ones({})); });
  table.op("topk")
      .row("rows", {input({4, 9}).distinct()}, tops(3, -1), topped(3, 1))
      .row("smallest of channels", {input({2, 7, 3}).distinct()}, tops(2, 1, false), topped(2, 1, false))
      .row("one of columns", {input({9, 4}).distinct()}, tops(1, 0), topped(1, 0))
      .row("many of a row", {input({2, 100}).distinct()}, tops(80, 1), topped(80, 1))
      .row("dtypes", {input({3, 40}).integers()}, tops(11, 1), topped(11, 1), with_ties)
      .row("none", {input({3, 4})}, tops(0, 1), expected({3, 0}, {}))
      .row("no rows", {input({0, 4})}, tops(2, 1), expected({0, 2}, {}))
      .error<ShapeError>("k", "topk: 4 elements of an axis of 3 (axis -1 of shape [2, 3])",
                         [] {
                           topk(ones({2, 3}), 4);
                         })
      .error<ShapeError>("negative", "topk: -1 elements of an axis of 3 …", [] { topk(ones({3}), -1); });
  table.op("argsort")
      .row("rows", {input({4, 9})}, argsorts(-1), argsorted(1), index_only)
      .row("ties", {input({5, 30}).integers(-1, 1)}, argsorts(1), argsorted(1), index_only)
      .row("ties, descending", {input({3, 90}).integers(-1, 1)}, argsorts(1, true), argsorted(1, true), index_only)
      .row("columns", {input({9, 4})}, argsorts(0), argsorted(0), index_only)
      .row("no elements", {input({3, 0})}, argsorts(1), expected({3, 0}, {}), index_only)
      .error<IndexError>("axis", "argsort: axis 1 is out of range …", [] { argsort(ones({2}), 1); });
}

TEST_CASE("sort: NaN after +inf, whatever its sign; zeros of both signs are equal; descending is the reverse") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  const std::vector<float> values = {nan, 1, -0.0f, inf, 0.0f, -nan, -inf, -1, nan, -0.0f};
  const std::vector<int64_t> up = {6, 7, 2, 4, 9, 1, 3, 0, 5, 8}, down = {0, 5, 8, 3, 1, 2, 4, 9, 7, 6};
  for (const Device device : devices_to_test())
    for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16}) {
      const Tensor x = tensor(values, {10}, device).to(dtype);
      CHECK(argsort(x).to_vector<int64_t>() == up);
      CHECK(argsort(x, -1, true).to_vector<int64_t>() == down);
      CHECK(topk(x, 4).index.to_vector<int64_t>() == std::vector<int64_t>{0, 5, 8, 3});
      CHECK(topk(x, 2, 0, false).index.to_vector<int64_t>() == std::vector<int64_t>{6, 7});
      CHECK(std::signbit(sort(x).values.to_vector<float>()[2]));
      CHECK(!std::signbit(sort(x).values.to_vector<float>()[3]));
    }
}

TEST_CASE("sort: the ends of the integers") {
  const int64_t low = std::numeric_limits<int64_t>::min(), high = std::numeric_limits<int64_t>::max();
  for (const Device device : devices_to_test()) {
    const Tensor x = tensor({int64_t{0}, high, low, int64_t{-1}, high, int64_t{1}}, device);
    CHECK(argsort(x).to_vector<int64_t>() == std::vector<int64_t>{2, 3, 0, 5, 1, 4});
    CHECK(argsort(x, 0, true).to_vector<int64_t>() == std::vector<int64_t>{1, 4, 5, 0, 3, 2});
    const Tensor narrow = tensor({0, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()}, device);
    CHECK(argsort(narrow).to_vector<int64_t>() == std::vector<int64_t>{1, 0, 2});
  }
}

TEST_CASE("sort: rows about and beyond a tile, along every axis") {
  for (const Device device : devices_to_test())
    for (const int64_t n : {1023, 1024, 1025, 2049, 3500}) {
      const Tensor x = (randn({2, n}) * 4).to(DType::i32), y = x.to(DType::f64);
      const Array rows = naive(to_array(x), 1, -1, false, true);
      CHECK(to_array(argsort(x.to(device))).values == rows.values);
      CHECK(to_array(argsort(y.to(device))).values == rows.values);
      CHECK(to_array(argsort(x.to(device).transpose().contiguous(), 0).transpose()).values == rows.values);
      const Array top = naive(to_array(x), 1, 70, true, false);
      CHECK(to_array(topk(y.to(device), 70).values).values == top.values);
      CHECK(to_array(topk(x.to(device), 5).values).values == naive(to_array(x), 1, 5, true, false).values);
    }
}

TEST_CASE("sort: a long row, and the same on any number of threads") {
  const Tensor x = (randn({3, 100000}) * 1000).to(DType::i32).to(DType::f32);
  const SortResult one = sort(x);
  const std::vector<float> values = one.values.to_vector<float>();
  CHECK(std::is_sorted(values.begin(), values.begin() + 100000));
  CHECK(gather(x, 1, one.index).to_vector<float>() == values);
  const std::vector<int64_t> index = one.index.to_vector<int64_t>();
  CHECK(index == argsort(x).to_vector<int64_t>());
  for (size_t i = 1; i < 100000; ++i)
    if (values[i] == values[i - 1] && index[i] < index[i - 1]) FAIL("not stable");
  const int before = num_threads();
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    CHECK(argsort(x).to_vector<int64_t>() == index);
  }
  set_num_threads(before);
}

TEST_CASE("sort: results lie as x does") {
  const Tensor x = randn({2, 3, 4, 5}).contiguous(Layout::channels_last);
  const SortResult top = topk(x, 2, 1);
  CHECK(top.values.is_contiguous(Layout::channels_last));
  CHECK(top.index.is_contiguous(Layout::channels_last));
  CHECK(to_array(top.values).values == to_array(topk(x.contiguous(), 2, 1).values).values);
}
