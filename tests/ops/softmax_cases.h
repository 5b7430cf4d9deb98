// The shapes and axes that softmax and log-softmax are tested on: rows in memory and across them, short and long.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <string>

#include "tests/support/op_table.h"

namespace weft::test {

using AlongAxis = std::function<Tensor(const Tensor&, int64_t)>;
using NaiveAlongAxis = std::function<Array(const Array&, int)>;

/// x less the largest element along the axis.
inline Array below_top(const Array& x, int axis) {
  const Array top = fold(x, {axis}, true, -std::numeric_limits<double>::infinity(),
                         [](double a, double b) { return std::max(a, b); });
  return zip(x, top, std::minus<>());
}

/// A row per case, and the errors. They belong to the file that calls this.
inline void add_softmax_rows(Op& op, const AlongAxis& f, const NaiveAlongAxis& naive,
                             Op::Where where = Op::Where::current()) {
  const auto row = [&](const char* name, const Input& x, int axis, const RowOptions& options = {}) {
    const int from_front = axis < 0 ? axis + x.shape.rank() : axis;
    op.row(
        name, {x}, [f, axis](const Tensors& v) { return f(v[0], axis); },
        [naive, from_front](const Arrays& v) { return naive(v[0], from_front); }, options, where);
  };
  row("rows", input({3, 5}), 1);
  row("rows of a vector and a tail", input({7, 21}), -1);
  row("rows of packs", input({7, 24}), -1);
  row("long rows", input({3, 150}), 1);
  row("long rows of packs", input({2, 264}), 1, {.no_second_gradient = "as in the other rows, and slow"});
  row("a row of more than one block", input({1, 2051}), 1, {.no_second_gradient = "as in the other rows, and slow"});
  row("columns", input({5, 3}), 0);
  row("the middle axis", input({2, 4, 3}), 1);
  row("many columns", input({2, 6, 37}), 1);
  row("more columns than a tile", input({3, 150}), 0);
  row("many classes of many columns", input({40, 33}), 0);
  row("channels of an image", input({2, 21, 3, 4}), 1);
  row("a vector", input({9}), 0);
  row("one class", input({4, 1}), 1);
  row("large values", input({4, 6}).range(-300, 300), 1,
      {.dtypes = {DType::f64, DType::f32}, .no_gradient = "saturated: differences say nothing"});
  row("no rows", input({0, 5}), 1);
  row("no classes", input({3, 0}), 1);
  const auto axis = [f] { f(ones({2, 2}), 2); };
  const auto integers = [f] { f(ones({2, 2}, {.dtype = DType::i32}), 1); };
  op.error<IndexError>("axis", op.name + ": axis 2 …", axis, where);
  op.error<DtypeError>("integers", op.name + ": needs a floating dtype, got int32…", integers, where);
}

}  // namespace weft::test
