// The shapes, axes and layouts of results that reductions are tested on.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/op_table.h"

namespace weft::test {

// What is reduced: a shape, its axes (none: all), and whether they are kept.
struct ReduceCase {
  const char* name;
  Shape shape;
  std::vector<int> axes;
  bool keep;

  ReduceOptions options() const { return {.axes = {axes.begin(), axes.end()}, .keep = keep}; }
  double count() const {
    double n = 1;
    for (int i = 0; i < shape.rank(); ++i)
      if (axes.empty() || std::count(axes.begin(), axes.end(), i)) n *= static_cast<double>(shape[i]);
    return n;
  }
  Array over(const Array& x, double start, double (*f)(double, double), bool keep_axes) const {
    return fold(x, axes, keep_axes, start, f);
  }
};

inline const ReduceCase reduce_cases[] = {
    {"everything", {3, 4, 5}, {}, false},     {"everything, kept", {3, 2, 4}, {}, true},
    {"last axis", {4, 13}, {1}, false},       {"first axis", {11, 6}, {0}, true},
    {"outer axes", {3, 4, 2}, {0, 2}, false}, {"per channel", {2, 3, 2, 4}, {0, 2, 3}, true},
    {"extent 1", {3, 1, 2}, {1}, false},      {"no elements left", {0, 4}, {1}, false},
};

using Reduce = std::function<Tensor(const Tensor&, const ReduceOptions&)>;
using NaiveReduce = std::function<Array(const Array&, const ReduceCase&)>;

/// A row per case, and the errors of axes. They belong to the file that calls this.
inline void add_rows(Op& op, const Reduce& f, const NaiveReduce& naive,
                     const std::function<Input(const Shape&)>& recipe, const RowOptions& options = {},
                     Op::Where where = Op::Where::current()) {
  for (const ReduceCase& c : reduce_cases)
    op.row(
        c.name, {recipe(c.shape)}, [f, c](const Tensors& v) { return f(v[0], c.options()); },
        [naive, c](const Arrays& v) { return naive(v[0], c); }, options, where);
  const std::string name = op.name;
  const auto axis = [f] { f(ones({2, 2}), {.axes = {2}}); };
  const auto twice = [f] { f(ones({2, 2}), {.axes = {1, -1}}); };
  op.error<IndexError>("axis", name + ": axis 2 is out of range for a tensor of rank 2", axis, where);
  op.error<IndexError>("twice", name + ": axis -1 is named twice", twice, where);
}

}  // namespace weft::test
