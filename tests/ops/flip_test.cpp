// flip and roll.
#include "weft/autograd/ops/flip.h"

#include <doctest/doctest.h>

#include "tests/support/op_table.h"

using namespace weft;
using namespace weft::test;

namespace {

// y at flat position i is x at the position whose coordinate along the axis is from(coordinate).
Array moved(const Array& x, int axis, const std::function<int64_t(int64_t)>& from) {
  Array y(x.shape);
  int64_t inner = 1;
  for (int d = axis + 1; d < x.shape.rank(); ++d) inner *= x.shape[d];
  const int64_t n = x.shape[axis];
  for (int64_t i = 0; i < y.numel(); ++i) {
    const int64_t at = i / inner % n;
    y[i] = x[i + (from(at) - at) * inner];
  }
  return y;
}

OpFunction flips(const Dims& axes) {
  return [axes](const Tensors& v) { return flip(v[0], axes); };
}
Reference flipped(const std::vector<int>& axes) {
  return [axes](const Arrays& v) {
    Array y = v[0];
    for (const int axis : axes) y = moved(y, axis, [n = y.shape[axis]](int64_t i) { return n - 1 - i; });
    return y;
  };
}
OpFunction rolls(int64_t shift, int64_t axis) {
  return [=](const Tensors& v) { return roll(v[0], shift, axis); };
}
Reference rolled(int64_t shift, int axis) {
  return [=](const Arrays& v) {
    const int64_t n = v[0].shape[axis];
    return moved(v[0], axis, [=](int64_t i) { return ((i - shift) % n + n) % n; });
  };
}

const RowOptions every_dtype{.dtypes = all_dtypes, .exact = true};

}  // namespace

OP_TABLE(flip) {
  table.op("flip")
      .row("columns", {input({4, 7})}, flips({1}), flipped({1}))
      .row("rows of an image", {input({2, 3, 4, 5})}, flips({-2}), flipped({2}))
      .row("both sides of an image", {input({2, 3, 20, 17})}, flips({2, 3}), flipped({2, 3}))
      .row("everything", {input({3, 4, 5})}, flips({0, 1, 2}), flipped({0, 1, 2}))
      .row("no axis", {input({3, 4})}, flips({}), flipped({}))
      .row("rank 0", {input({})}, flips({}), flipped({}))
      .row("dtypes", {input({3, 5}).integers()}, flips({0, 1}), flipped({0, 1}), every_dtype)
      .row("no elements", {input({0, 3})}, flips({0, 1}), expected({0, 3}, {}))
      .error<IndexError>("twice", "flip: axes [0, -2] name axis 0 twice",
                         [] {
                           flip(ones({2, 3}), {0, -2});
                         })
      .error<IndexError>("axis", "flip: axis 2 is out of range …", [] {
        flip(ones({2, 3}), {2});
      });
  table.op("roll")
      .row("up", {input({4, 7})}, rolls(3, 1), rolled(3, 1))
      .row("down", {input({4, 7})}, rolls(-2, 0), rolled(-2, 0))
      .row("more than a turn", {input({2, 3, 5})}, rolls(17, -1), rolled(17, 2))
      .row("a whole turn", {input({2, 6})}, rolls(-6, 1), rolled(0, 1))
      .row("dtypes", {input({3, 5}).integers()}, rolls(2, 1), rolled(2, 1), every_dtype)
      .row("no elements", {input({0, 3})}, rolls(1, 0), expected({0, 3}, {}))
      .error<IndexError>("axis", "roll: axis 1 is out of range …", [] { roll(ones({3}), 1, 1); });
}
