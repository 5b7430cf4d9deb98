// Views: shapes and strides without copies, and their gradients.
#include "weft/tensor/ops/view.h"

#include <doctest/doctest.h>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/view.h"
#include "weft/autograd/record_scope.h"

using namespace weft;
using namespace weft::test;

namespace {

Reference reshaped(const Shape& shape) {
  return [shape](const Arrays& v) { return Array(shape, v[0].values); };
}

// y at every index of its shape is x at index(i).
Array gather(const Array& x, const Shape& shape, const std::function<int64_t(const Dims&)>& place) {
  Array y(shape);
  Dims at = Dims::filled(shape.rank(), 0);
  for (int64_t i = 0; i < y.numel(); ++i) {
    y[i] = x[place(at)];
    for (int d = shape.rank() - 1; d >= 0; --d) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
  return y;
}

const RowOptions every_dtype{.dtypes = all_dtypes, .exact = true};

bool is_view(const Tensor& y, const Tensor& x) { return &y.storage() == &x.storage(); }

}  // namespace

OP_TABLE(view) {
  table.op("reshape")
      .row(
          "split and join", {input({4, 6})},
          [](const Tensors& v) {
            return v[0].reshape({2, 2, 3, 2});
          },
          reshaped({2, 2, 3, 2}))
      .row(
          "minus one", {input({4, 6})},
          [](const Tensors& v) {
            return reshape(v[0], {3, -1});
          },
          reshaped({3, 8}))
      .row(
          "to rank 0", {input({1, 1})}, [](const Tensors& v) { return reshape(v[0], {}); }, reshaped({}))
      .row(
          "dtypes", {input({4, 6}).integers()}, [](const Tensors& v) { return reshape(v[0], {24}); }, reshaped({24}),
          every_dtype)
      .row(
          "no elements", {input({0, 6})},
          [](const Tensors& v) {
            return reshape(v[0], {2, 0, 3});
          },
          reshaped({2, 0, 3}))
      .error<ShapeError>("count", "reshape: 6 elements of shape [2, 3] do not fill [4]",
                         [] {
                           reshape(ones({2, 3}), {4});
                         })
      .error<ShapeError>("rest", "reshape: 6 elements of shape [2, 3] do not fill [4, -1]",
                         [] {
                           reshape(ones({2, 3}), {4, -1});
                         })
      .error<ShapeError>("two open", "reshape: more than one -1 in [-1, -1]",
                         [] {
                           reshape(ones({2, 3}), {-1, -1});
                         })
      .error<ShapeError>("negative", "reshape: shape [-2, -3] is not a shape",
                         [] {
                           reshape(ones({2, 3}), {-2, -3});
                         })
      .error<ShapeError>("huge", "reshape: shape [4194305, 4194305, 211106198978564] is not a shape",
                         [] {
                           reshape(ones({4}), {4194305, 4194305, 211106198978564});
                         })
      .error<ShapeError>("open beside nothing", "reshape: 0 elements of shape [0] do not fill [0, -1]", [] {
        reshape(ones({0}), {0, -1});
      });
  table.op("flatten")
      .row(
          "all", {input({2, 3, 4})}, [](const Tensors& v) { return flatten(v[0]); }, reshaped({24}))
      .row(
          "per sample", {input({2, 3, 4})}, [](const Tensors& v) { return v[0].flatten(1); }, reshaped({2, 12}))
      .row(
          "inner pair", {input({2, 3, 4, 5})}, [](const Tensors& v) { return flatten(v[0], 1, 2); },
          reshaped({2, 12, 5}))
      .row(
          "rank 0", {input({})}, [](const Tensors& v) { return flatten(v[0]); }, reshaped({1}))
      .row(
          "dtypes", {input({2, 3}).integers()}, [](const Tensors& v) { return flatten(v[0]); }, reshaped({6}),
          every_dtype)
      .row(
          "no elements", {input({2, 0, 4})}, [](const Tensors& v) { return flatten(v[0], 1); }, reshaped({2, 0}))
      .error<IndexError>("order", "flatten: axis 1 comes after axis 0", [] {
        flatten(ones({2, 3}), 1, 0);
      });
  table.op("permute")
      .row(
          "to channels last", {input({2, 3, 4, 5})},
          [](const Tensors& v) {
            return v[0].permute({0, 2, 3, -3});
          },
          [](const Arrays& v) {
            return gather(v[0], {2, 4, 5, 3}, [](const Dims& i) { return ((i[0] * 3 + i[3]) * 4 + i[1]) * 5 + i[2]; });
          })
      .row(
          "dtypes", {input({3, 4}).integers()},
          [](const Tensors& v) {
            return permute(v[0], {1, 0});
          },
          [](const Arrays& v) {
            return gather(v[0], {4, 3}, [](const Dims& i) { return i[1] * 4 + i[0]; });
          },
          every_dtype)
      .row(
          "no elements", {input({0, 3})},
          [](const Tensors& v) {
            return permute(v[0], {1, 0});
          },
          expected({3, 0}, {}))
      .error<IndexError>("rank", "permute: order [0] for a tensor of rank 2",
                         [] {
                           permute(ones({2, 3}), {0});
                         })
      .error<IndexError>("twice", "permute: order [0, -2] names axis 0 twice", [] {
        permute(ones({2, 3}), {0, -2});
      });
  table.op("transpose")
      .row(
          "last two", {input({2, 3, 4})}, [](const Tensors& v) { return v[0].transpose(); },
          [](const Arrays& v) {
            return gather(v[0], {2, 4, 3}, [](const Dims& i) { return (i[0] * 3 + i[2]) * 4 + i[1]; });
          })
      .row(
          "first and last", {input({2, 3, 4}).integers()}, [](const Tensors& v) { return transpose(v[0], 0, -1); },
          [](const Arrays& v) {
            return gather(v[0], {4, 3, 2}, [](const Dims& i) { return (i[2] * 3 + i[1]) * 4 + i[0]; });
          },
          every_dtype)
      .row(
          "no elements", {input({0, 3})}, [](const Tensors& v) { return transpose(v[0]); }, expected({3, 0}, {}))
      .error<IndexError>("rank", "transpose: axis -2 is out of range for a tensor of rank 1",
                         [] { transpose(ones({3})); });
  table.op("expand")
      .row(
          "rows", {input({1, 4})},
          [](const Tensors& v) {
            return v[0].expand({3, 4});
          },
          [](const Arrays& v) {
            return gather(v[0], {3, 4}, [](const Dims& i) { return i[1]; });
          })
      .row(
          "new axis", {input({4})},
          [](const Tensors& v) {
            return expand(v[0], {2, 3, -1});
          },
          [](const Arrays& v) {
            return gather(v[0], {2, 3, 4}, [](const Dims& i) { return i[2]; });
          })
      .row(
          "dtypes", {input({3, 1}).integers()},
          [](const Tensors& v) {
            return expand(v[0], {3, 2});
          },
          [](const Arrays& v) {
            return gather(v[0], {3, 2}, [](const Dims& i) { return i[0]; });
          },
          every_dtype)
      .row(
          "no elements", {input({1, 4})},
          [](const Tensors& v) {
            return expand(v[0], {0, 4});
          },
          expected({0, 4}, {}))
      .row(
          "nothing wider", {input({0, 4})},
          [](const Tensors& v) {
            return expand(v[0], {2, 0, 4});
          },
          expected({2, 0, 4}, {}))
      .error<ShapeError>("shape", "expand: shape [2, 3] does not broadcast to [3]",
                         [] {
                           expand(ones({2, 3}), {3});
                         })
      .error<ShapeError>("narrower", "expand: shape [2] does not broadcast to [1]", [] { expand(ones({2}), {1}); });
  table.op("unsqueeze")
      .row(
          "front", {input({3, 4})}, [](const Tensors& v) { return v[0].unsqueeze(0); }, reshaped({1, 3, 4}))
      .row(
          "back", {input({3, 4}).integers()}, [](const Tensors& v) { return unsqueeze(v[0], -1); }, reshaped({3, 4, 1}),
          every_dtype)
      .row(
          "no elements", {input({0})}, [](const Tensors& v) { return unsqueeze(v[0], 1); }, reshaped({0, 1}))
      .error<IndexError>("axis", "unsqueeze: axis 3 is out of range …", [] { unsqueeze(ones({2}), 3); });
  table.op("squeeze")
      .row(
          "middle", {input({3, 1, 4})}, [](const Tensors& v) { return v[0].squeeze(1); }, reshaped({3, 4}))
      .row(
          "dtypes", {input({3, 1}).integers()}, [](const Tensors& v) { return squeeze(v[0], -1); }, reshaped({3}),
          every_dtype)
      .row(
          "no elements", {input({1, 0})}, [](const Tensors& v) { return squeeze(v[0], 0); }, reshaped({0}))
      .error<ShapeError>("longer", "squeeze: axis 0 of shape [2, 1] is longer than 1", [] {
        squeeze(ones({2, 1}), 0);
      });
  table.op("slice")
      .row(
          "rows", {input({5, 4})}, [](const Tensors& v) { return v[0].slice(0, 1, 4); },
          [](const Arrays& v) {
            return gather(v[0], {3, 4}, [](const Dims& i) { return (i[0] + 1) * 4 + i[1]; });
          })
      .row(
          "every second from the end", {input({3, 7})}, [](const Tensors& v) { return slice(v[0], -1, -5, 100, 2); },
          [](const Arrays& v) {
            return gather(v[0], {3, 3}, [](const Dims& i) { return i[0] * 7 + 2 + 2 * i[1]; });
          })
      .row(
          "channels of an image", {input({2, 5, 3, 4})}, [](const Tensors& v) { return slice(v[0], 1, 2, 4); },
          [](const Arrays& v) {
            return gather(v[0], {2, 2, 3, 4},
                          [](const Dims& i) { return ((i[0] * 5 + i[1] + 2) * 3 + i[2]) * 4 + i[3]; });
          })
      .row(
          "dtypes", {input({5}).integers()}, [](const Tensors& v) { return slice(v[0], 0, 1, 3); },
          [](const Arrays& v) { return gather(v[0], {2}, [](const Dims& i) { return i[0] + 1; }); }, every_dtype)
      .row(
          "empty", {input({5, 4})}, [](const Tensors& v) { return slice(v[0], 0, 3, 3); }, expected({0, 4}, {}))
      .row(
          "no elements", {input({0, 4})}, [](const Tensors& v) { return slice(v[0], 0, 0, 3); }, expected({0, 4}, {}))
      .error<ShapeError>("step", "slice: step 0 is not positive", [] { slice(ones({3}), 0, 0, 3, 0); })
      .error<IndexError>("axis", "slice: axis 1 is out of range …", [] { slice(ones({3}), 1, 0, 3); });
  table.op("select")
      .row(
          "row", {input({3, 4})}, [](const Tensors& v) { return v[0][1]; },
          [](const Arrays& v) { return gather(v[0], {4}, [](const Dims& i) { return 4 + i[0]; }); })
      .row(
          "last column", {input({3, 4}).integers()}, [](const Tensors& v) { return select(v[0], 1, -1); },
          [](const Arrays& v) { return gather(v[0], {3}, [](const Dims& i) { return i[0] * 4 + 3; }); }, every_dtype)
      .row(
          "no elements", {input({3, 0})}, [](const Tensors& v) { return v[0][1]; }, expected({0}, {}))
      .error<IndexError>("index", "select: index 3 is out of range for axis 0 of shape [3, 4]", [] {
        ones({3, 4})[3];
      });
}

TEST_CASE("views share memory, reshape copies only where it must") {
  const Tensor x = arange(0, 24).reshape({2, 3, 4});
  CHECK(is_view(x.reshape({6, 4}), x));
  CHECK(is_view(x.reshape({2, 12}), x));
  CHECK(is_view(x.slice(2, 0, 4, 2).reshape({2, 3, 2, 1}), x));
  CHECK(is_view(x.slice(2, 0, 4, 2).reshape({6, 2}), x));
  CHECK(is_view(x.transpose(0, 1).reshape({3, 2, 2, 2}), x));
  CHECK(is_view(x.expand({5, 2, 3, 4}).reshape({5, 6, 4}), x));
  CHECK_FALSE(is_view(x.transpose().reshape({24}), x));
  CHECK_FALSE(is_view(x.slice(2, 0, 3).reshape({18}), x));
  CHECK(x.transpose().reshape({24}).to_vector<float>()[1] == 4);
  CHECK(is_view(x.permute({2, 0, 1}), x));
  Tensor row = x[1][2];
  row.fill_(-1);
  CHECK(x.slice(0, 1, 2).slice(1, 2, 3).to_vector<float>() == std::vector<float>(4, -1));
}

TEST_CASE("slices keep the order of channels-last, and so do their gradients") {
  const Tensor x = ones({2, 4, 3, 5}).contiguous(Layout::channels_last);
  const Tensor part = x.slice(2, 1, 3).contiguous(Layout::channels_last);
  CHECK(ops::slice_backward(part, x.shape(), 2, 1, 3, 1).is_contiguous(Layout::channels_last));
}

TEST_CASE("a chain of views has one gradient") {
  Tensor x = arange(0, 24, 1, {.dtype = DType::f64}).reshape({2, 3, 4}).attach_grad();
  {
    const autograd::Record record;
    const Tensor y = x.permute({2, 0, 1}).slice(0, 1, 4, 2).reshape({12})[5];
    sum(y * 3).backward();
  }
  std::vector<double> wanted(24, 0);
  wanted[12 + 2 * 4 + 1] = 3;  // [1, 2, 1] of x
  CHECK(x.grad().to_vector<double>() == wanted);
}
