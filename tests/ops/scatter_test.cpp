// scatter_add and index_add: sums in a fixed order.
#include "weft/autograd/ops/scatter.h"

#include <doctest/doctest.h>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"
#include "weft/autograd/ops/gather.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

// Inputs: x, index, source; all of rank 3 for the reference.
OpFunction scatters(int64_t axis) {
  return [axis](const Tensors& v) { return scatter_add(v[0], axis, v[1], v[2]); };
}
Reference scattered(int axis) {
  return [axis](const Arrays& v) {
    Array y = v[0];
    const Array &index = v[1], &source = v[2];
    for (int64_t i = 0; i < index.size(0); ++i)
      for (int64_t j = 0; j < index.size(1); ++j)
        for (int64_t k = 0; k < index.size(2); ++k) {
          int64_t at[3] = {i, j, k};
          at[axis] = static_cast<int64_t>(index(i, j, k));
          y(at[0], at[1], at[2]) += source(i, j, k);
        }
    return y;
  };
}

OpFunction adds(int64_t axis) {
  return [axis](const Tensors& v) { return index_add(v[0], axis, v[1], v[2]); };
}
Reference added(int axis) {
  return [axis](const Arrays& v) {
    Array y = v[0];
    int64_t inner = 1;
    for (int d = axis + 1; d < y.shape.rank(); ++d) inner *= y.shape[d];
    const int64_t n = y.shape[axis], m = v[1].numel();
    for (int64_t i = 0; i < v[2].numel(); ++i)
      y[(i / (m * inner) * n + static_cast<int64_t>(v[1][i / inner % m])) * inner + i % inner] += v[2][i];
    return y;
  };
}

const std::vector<DType> summable = {DType::f64, DType::f32, DType::f16, DType::bf16,
                                     DType::i64, DType::i32, DType::u8};

}  // namespace

OP_TABLE(scatter) {
  table.op("scatter_add")
      .row("rows", {input({4, 3, 5}), input({6, 3, 5}).labels(4), input({6, 3, 5})}, scatters(0), scattered(0))
      .row("middle", {input({2, 3, 7}), input({2, 9, 7}).labels(3), input({2, 9, 7})}, scatters(1), scattered(1))
      .row("last", {input({2, 3, 4}), input({2, 3, 20}).labels(4), input({2, 3, 20})}, scatters(-1), scattered(2))
      .row("smaller off the axis", {input({4, 5, 6}), input({3, 8, 2}).labels(5), input({3, 8, 2})}, scatters(1),
           scattered(1))
      .row("all to one place", {input({1, 2, 1}), input({1, 50, 1}).labels(1), input({1, 50, 1})}, scatters(1),
           scattered(1), {.slack = 4})
      .row("32-bit index",
           {input({1, 4, 1}), input({1, 5, 1}).values({3, 0, 3, 3, 1}).dtype(DType::i32), input({1, 5, 1})},
           scatters(1), scattered(1))
      .row("dtypes", {input({2, 3, 4}).integers(0, 9), input({2, 5, 4}).labels(3), input({2, 5, 4}).integers(0, 9)},
           scatters(1), scattered(1), {.dtypes = summable, .exact = true})
      .row("no source", {input({2, 3, 4}), input({2, 0, 4}).labels(3), input({2, 0, 4})}, scatters(1), scattered(1))
      .row("no elements", {input({0, 3, 4}), input({0, 2, 4}).labels(3), input({0, 2, 4})}, scatters(1),
           expected({0, 3, 4}, {}))
      .error<IndexError>("range", "scatter_add: index 3 at [1] is out of range [0, 3); …",
                         [] {
                           scatter_add(ones({3}), 0, tensor({0, 3}), ones({2}));
                         })
      .error<ShapeError>("source",
                         "scatter_add: an index of shape [2] and a source of shape [3] for shape [3] along axis 0; …",
                         [] {
                           scatter_add(ones({3}), 0, tensor({0, 1}), ones({3}));
                         })
      .error<DtypeError>("dtypes", "scatter_add: dtypes float32 and float64 differ; …",
                         [] { scatter_add(ones({3}), 0, tensor({0}), ones({1}, {.dtype = DType::f64})); })
      .error<DtypeError>("bool", "scatter_add: bool has no sums; …",
                         [] { scatter_add(tensor({true}), 0, tensor({0}), tensor({true})); });
  table.op("index_add")
      .row("rows", {input({5, 6}), input({7}).labels(5), input({7, 6})}, adds(0), added(0))
      .row("channels", {input({2, 3, 3, 4}), input({5}).labels(3), input({2, 5, 3, 4})}, adds(1), added(1))
      .row("last", {input({3, 5}), input({8}).labels(5), input({3, 8})}, adds(-1), added(1))
      .row("an index of rank 2", {input({2, 5, 3}), input({3, 4}).labels(5), input({2, 3, 4, 3})}, adds(1), added(1))
      .row("an index of rank 0", {input({5, 3}), input({}).labels(5), input({3})}, adds(0), added(0))
      .row("long rows", {input({3, 130}), input({9}).labels(3), input({9, 130})}, adds(0), added(0))
      .row("dtypes", {input({4, 3}).integers(0, 9), input({6}).labels(4), input({6, 3}).integers(0, 9)}, adds(0),
           added(0), {.dtypes = summable, .exact = true})
      .row("no elements", {input({2, 0}), input({3}).labels(2), input({3, 0})}, adds(0), expected({2, 0}, {}))
      .error<ShapeError>("source",
                         "index_add: a source of shape [2, 3] for shape [4, 2] and an index of shape [2] along axis 0; "
                         "it must have shape [2, 2]",
                         [] {
                           index_add(ones({4, 2}), 0, tensor({0, 1}), ones({2, 3}));
                         })
      .error<IndexError>("range", "index_add: index -2 at [0] is out of range [0, 4); …",
                         [] { index_add(ones({4}), 0, tensor({-2}), ones({1})); });
}

TEST_CASE("scatter_add: the operands are as they were after an error") {
  const Tensor x = ones({3});
  CHECK(throws<IndexError>("…", [&] { scatter_add(x, 0, tensor({0, 3}), ones({2})); }) == "");
  CHECK(x.to_vector<float>() == std::vector<float>(3, 1));
}

TEST_CASE(
    "scatter_add and index_add: every sum in the order of the positions, on any number of threads, on any device") {
  // Terms whose sum depends on their order.
  const Tensor source = randn({200, 6}) * 1000, x = randn({4, 6});
  std::vector<int64_t> each, rows;
  for (int64_t i = 0; i < 1200; ++i) each.push_back(i * i % 4);
  for (int64_t i = 0; i < 200; ++i) rows.push_back(i * 7 % 4);
  const Tensor index = tensor(each, {200, 6}), row_index = tensor(rows, {200});
  std::vector<float> by_element = x.to_vector<float>(), by_row = by_element;
  const std::vector<float> terms = source.to_vector<float>();
  for (size_t i = 0; i < 1200; ++i) {
    by_element[static_cast<size_t>(each[i]) * 6 + i % 6] += terms[i];
    by_row[static_cast<size_t>(rows[i / 6]) * 6 + i % 6] += terms[i];
  }
  for (const int threads : {1, 2, 3}) {
    const int before = num_threads();
    set_num_threads(threads);
    for (const Device device : devices_to_test()) {
      CHECK(scatter_add(x.to(device), 0, index.to(device), source.to(device)).to_vector<float>() == by_element);
      CHECK(index_add(x.to(device), 0, row_index.to(device), source.to(device)).to_vector<float>() == by_row);
    }
    set_num_threads(before);
  }
}

TEST_CASE("scatter_add: 16-bit sums are rounded once") {
  // 2048 + 1 is 2048 in f16: added one by one, the terms would be lost.
  for (const Device device : devices_to_test()) {
    const Tensor x = full({1}, 2048, {.dtype = DType::f16, .device = device});
    const Tensor terms = ones({64}, {.dtype = DType::f16, .device = device});
    const Tensor index = zeros({64}, {.dtype = DType::i64, .device = device});
    CHECK(scatter_add(x, 0, index, terms).item<float>() == 2112);
  }
}
