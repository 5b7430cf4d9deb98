// concat and stack.
#include "weft/tensor/ops/concat.h"

#include <doctest/doctest.h>

#include "tests/support/op_table.h"
#include "weft/autograd/ops/concat.h"

using namespace weft;
using namespace weft::test;

namespace {

Array naive(const Arrays& parts, int axis) {
  Shape shape = parts[0].shape;
  for (size_t i = 1; i < parts.size(); ++i) shape[axis] += parts[i].shape[axis];
  Array y(shape);
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  int64_t start = 0;
  for (const Array& x : parts) {
    const int64_t run = x.shape[axis] * inner;
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < run; ++i) y[o * shape[axis] * inner + start + i] = x[o * run + i];
    start += run;
  }
  return y;
}

OpFunction along(int64_t axis) {
  return [axis](const Tensors& v) { return concat(v, axis); };
}
Reference joined(int axis) {
  return [axis](const Arrays& v) { return naive(v, axis); };
}

}  // namespace

OP_TABLE(concat) {
  table.op("concat")
      .row("rows", {input({2, 3}), input({4, 3})}, along(0), joined(0))
      .row("columns", {input({3, 2}), input({3, 1}), input({3, 4})}, along(-1), joined(1))
      .row("channels", {input({2, 3, 4, 5}), input({2, 2, 4, 5})}, along(1), joined(1))
      .row("one part", {input({3, 4})}, along(1), joined(1))
      .row("an empty part", {input({2, 0}), input({2, 3})}, along(1), joined(1))
      .row("nothing", {input({0, 2}), input({0, 3})}, along(1), joined(1))
      .row("dtypes", {input({2, 3}).integers(), input({1, 3}).integers()}, along(0), joined(0),
           {.dtypes = all_dtypes, .exact = true})
      .row("mixed dtypes", {input({2, 3}), input({1, 3}).dtype(DType::f32).untracked()}, along(0), joined(0),
           {.dtypes = {DType::f64}})
      .error<ShapeError>("none", "concat: no tensors", [] { concat({}); })
      .error<ShapeError>("shapes", "concat: shapes [2, 3] and [2, 4] differ off axis 0",
                         [] {
                           concat({ones({2, 3}), ones({2, 4})});
                         })
      .error<ShapeError>("ranks", "concat: shapes [2, 3] and [3] differ off axis 0",
                         [] {
                           concat({ones({2, 3}), ones({3})});
                         })
      .error<IndexError>("axis", "concat: axis 2 is out of range …",
                         [] {
                           concat({ones({2, 3})}, 2);
                         })
      .error<DeviceError>("devices", "concat: operands on cpu:0 and cpu:1; …", [] {
        concat({ones({2}), ones({2}, {.device = "cpu:1"})});
      });
  table.op("stack")
      .row(
          "front", {input({2, 3}), input({2, 3})}, [](const Tensors& v) { return stack(v); },
          [](const Arrays& v) {
            Array y = naive(v, 0);
            y.shape = {2, 2, 3};
            return y;
          })
      .row(
          "back", {input({2, 3}).integers(), input({2, 3}).integers()}, [](const Tensors& v) { return stack(v, -1); },
          [](const Arrays& v) {
            Array y({2, 3, 2});
            for (int64_t i = 0; i < 6; ++i)
              for (int64_t k = 0; k < 2; ++k) y[2 * i + k] = v[static_cast<size_t>(k)][i];
            return y;
          },
          {.dtypes = all_dtypes, .exact = true})
      .row(
          "no elements", {input({0}), input({0})}, [](const Tensors& v) { return stack(v); }, expected({2, 0}, {}))
      .error<ShapeError>("shapes", "concat: shapes [1, 2] and [1, 3] differ off axis 0", [] {
        stack({ones({2}), ones({3})});
      });
}

TEST_CASE("concat: channels-last parts give a channels-last result") {
  const Tensor a = ones({2, 3, 4, 5}).contiguous(Layout::channels_last),
               b = ones({2, 6, 4, 5}).contiguous(Layout::channels_last);
  CHECK(concat({a, b}, 1).is_contiguous(Layout::channels_last));
  CHECK(concat({a, a}, 0).is_contiguous(Layout::channels_last));
  CHECK(concat({a, a.contiguous()}, 0).is_contiguous());
}
