// gather, index_select, embedding; indices out of range.
#include "weft/autograd/ops/gather.h"

#include <doctest/doctest.h>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/scatter.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

OpFunction gathers(int64_t axis) {
  return [axis](const Tensors& v) { return gather(v[0], axis, v[1]); };
}
// Both of rank 3.
Reference gathered(int axis) {
  return [axis](const Arrays& v) {
    const Array &x = v[0], &index = v[1];
    Array y(index.shape);
    for (int64_t i = 0; i < index.size(0); ++i)
      for (int64_t j = 0; j < index.size(1); ++j)
        for (int64_t k = 0; k < index.size(2); ++k) {
          int64_t at[3] = {i, j, k};
          at[axis] = static_cast<int64_t>(index(i, j, k));
          y(i, j, k) = x(at[0], at[1], at[2]);
        }
    return y;
  };
}

OpFunction selects(int64_t axis) {
  return [axis](const Tensors& v) { return index_select(v[0], axis, v[1]); };
}
Array selected(const Array& x, int axis, const Array& index) {
  Shape shape;
  int64_t inner = 1;
  for (int d = 0; d < axis; ++d) shape.push_back(x.shape[d]);
  for (const int64_t extent : index.shape) shape.push_back(extent);
  for (int d = axis + 1; d < x.shape.rank(); ++d) shape.push_back(x.shape[d]), inner *= x.shape[d];
  Array y(shape);
  const int64_t n = x.shape[axis], m = index.numel();
  for (int64_t i = 0; i < y.numel(); ++i)
    y[i] = x[(i / (m * inner) * n + static_cast<int64_t>(index[i / inner % m])) * inner + i % inner];
  return y;
}
Reference selection(int axis) {
  return [axis](const Arrays& v) { return selected(v[0], axis, v[1]); };
}

OpFunction embeds(const EmbeddingOptions& options = {}) {
  return [options](const Tensors& v) { return embedding(v[0], v[1], options); };
}

const RowOptions every_dtype{.dtypes = all_dtypes, .exact = true};
Input i32(const Shape& shape, std::vector<double> values) { return input(shape).values(values).dtype(DType::i32); }

}  // namespace

OP_TABLE(gather) {
  table.op("gather")
      .row("rows", {input({4, 3, 5}), input({6, 3, 5}).labels(4)}, gathers(0), gathered(0))
      .row("middle", {input({2, 7, 5}), input({2, 4, 5}).labels(7)}, gathers(1), gathered(1))
      .row("last", {input({2, 3, 9}), input({2, 3, 20}).labels(9)}, gathers(-1), gathered(2))
      .row("smaller off the axis", {input({4, 5, 6}), input({3, 8, 2}).labels(5)}, gathers(1), gathered(1))
      .row("32-bit index", {input({1, 4, 2}), i32({1, 3, 2}, {3, 0, 3, 3, 1, 0})}, gathers(1), gathered(1))
      .row("dtypes", {input({2, 3, 4}).integers(), input({2, 3, 4}).labels(3)}, gathers(1), gathered(1), every_dtype)
      .row("no index", {input({2, 3, 4}), input({2, 0, 4}).labels(3)}, gathers(1), expected({2, 0, 4}, {}))
      .row("no elements", {input({0, 3, 4}), input({0, 2, 4}).labels(3)}, gathers(1), expected({0, 2, 4}, {}))
      .error<IndexError>("above", "gather: index 3 at [1, 0] is out of range [0, 3); positions count from 0, …",
                         [] {
                           gather(ones({2, 3}), 1, tensor({{0, 2}, {3, 5}}));
                         })
      .error<IndexError>("below", "gather: index -1 at [0] is out of range [0, 3); …",
                         [] { gather(ones({3}), 0, tensor({int64_t{-1}})); })
      .error<DtypeError>("dtype", "gather: the index is float32, not int64 or int32; …",
                         [] { gather(ones({3}), 0, ones({3})); })
      .error<ShapeError>("rank", "gather: an index of shape [1] for shape [3, 2] along axis 0; …",
                         [] {
                           gather(ones({3, 2}), 0, tensor({0}));
                         })
      .error<ShapeError>("extent", "gather: an index of shape [1, 3] for shape [3, 2] along axis 0; …",
                         [] {
                           gather(ones({3, 2}), 0, tensor({{0, 1, 2}}));
                         })
      .error<DeviceError>("devices", "gather: operands on cpu:0 and cpu:1; …",
                          [] { gather(ones({3}), 0, tensor({0}, "cpu:1")); });
  table.op("index_select")
      .row("rows", {input({5, 6}), input({7}).labels(5)}, selects(0), selection(0))
      .row("channels", {input({2, 5, 3, 4}), input({3}).labels(5)}, selects(1), selection(1))
      .row("last", {input({3, 5}), input({4}).labels(5)}, selects(-1), selection(1))
      .row("one position of many", {input({3, 4}), i32({5}, {2, 2, 2, 2, 2})}, selects(1), selection(1))
      .row("an index of rank 2", {input({2, 5, 3}), input({3, 4}).labels(5)}, selects(1), selection(1))
      .row("an index of rank 0", {input({2, 5, 3}), input({}).labels(5)}, selects(1), selection(1))
      .row("long rows", {input({3, 130}), input({4}).labels(3)}, selects(0), selection(0))
      .row("dtypes", {input({4, 3}).integers(), input({6}).labels(4)}, selects(0), selection(0), every_dtype)
      .row("no index", {input({2, 3}), input({0}).labels(3)}, selects(1), expected({2, 0}, {}))
      .row("no elements", {input({0, 3}), input({2}).labels(3)}, selects(1), expected({0, 2}, {}))
      .error<IndexError>("range", "index_select: index 4 at [1] is out of range [0, 4); …",
                         [] {
                           index_select(ones({4, 2}), 0, tensor({0, 4}));
                         })
      .error<IndexError>("nothing to select", "index_select: index 0 at [0] is out of range [0, 0); …",
                         [] {
                           index_select(ones({0, 2}), 0, tensor({0}));
                         })
      .error<IndexError>("axis", "index_select: axis 2 is out of range …", [] {
        index_select(ones({4, 2}), 2, tensor({0}));
      });
  table.op("embedding")
      .row("sentences", {input({7, 4}), input({2, 5}).labels(7)}, embeds(), selection(0))
      .row("rows of rank 2", {input({4, 2, 3}), input({3}).labels(4)}, embeds(), selection(0))
      .row("scalars", {input({4}), i32({2, 3}, {0, 3, 3, 3, 1, 0})}, embeds(), selection(0))
      .row("one word", {input({4, 3}), input({}).labels(4)}, embeds(), selection(0))
      .row("whole numbers", {input({4, 3}).integers(), input({9}).labels(4)}, embeds(), selection(0), {.exact = true})
      .row("no words", {input({4, 3}), input({0}).labels(4)}, embeds(), expected({0, 3}, {}))
      .error<IndexError>("range", "embedding: index 4 at [0, 1] is out of range [0, 4); …",
                         [] {
                           embedding(ones({4, 2}), tensor({{0, 4}}));
                         })
      .error<IndexError>("padding", "embedding: padding 4 is not one of 4 rows; …",
                         [] {
                           embedding(ones({4, 2}), tensor({0}), {.padding = 4});
                         })
      .error<DtypeError>("dtype", "embedding: needs a floating dtype, got int64; …", [] {
        embedding(ones({4, 2}, {.dtype = DType::i64}), tensor({0}));
      });
}

TEST_CASE("embedding: the row of the padding gets no gradient") {
  for (const Device device : devices_to_test()) {
    Tensor table = ones({3, 2}, {.device = device});
    table.attach_grad();
    Tensor y;
    {
      const autograd::Record record;
      y = embedding(table, tensor({{1, 0, 2, 1}, {0, 0, 2, 2}}, device), {.padding = 0});
    }
    CHECK(y.shape() == Shape{2, 4, 2});
    y.backward({.head_grads = {ones_like(y)}});
    CHECK(table.grad().to_vector<float>() == std::vector<float>{0, 0, 2, 2, 3, 3});
  }
}

TEST_CASE("gather, index_select, embedding: on CUDA an index out of range is reported at the next synchronisation") {
  if (!cuda_or_skip()) return;
  const Device device = "cuda:0";
  const Tensor x = ones({3, 4}, {.device = device}), bad = tensor({0, 3, -1}, device);
  const auto text = [](const char* name) {
    return std::string(name) +
           ": an index is out of range; positions count from 0, none is negative (first at flat "
           "position 1)";
  };
  CHECK(throws<IndexError>(text("index_select"), [&] { index_select(x, 0, bad).wait(); }) == "");
  CHECK(throws<IndexError>(text("embedding"), [&] { embedding(x, bad).wait(); }) == "");
  CHECK(throws<IndexError>(text("gather"), [&] { gather(x, 0, bad.reshape({3, 1})).wait(); }) == "");
  CHECK(throws<IndexError>(text("scatter_add"), [&] {
          scatter_add(x, 0, bad.reshape({3, 1}), ones({3, 1}, {.device = device})).wait();
        }) == "");
  // A 64-bit index that would be in range if it were cut to 32 bits.
  const Tensor far = tensor({int64_t{0}, (int64_t{1} << 32) + 1}, device);
  CHECK(throws<IndexError>(text("index_add"), [&] {
          index_add(x, 0, far, ones({2, 4}, {.device = device})).wait();
        }) == "");
  CHECK(index_select(x, 0, tensor({2}, device)).to_vector<float>() == std::vector<float>(4, 1));
}

TEST_CASE("index_select: channels-last stays so") {
  const Tensor x = ones({2, 3, 4, 5}).contiguous(Layout::channels_last);
  CHECK(index_select(x, 1, tensor({2, 0})).is_contiguous(Layout::channels_last));
  CHECK(index_select(x.contiguous(), 1, tensor({2, 0})).is_contiguous());
}

TEST_CASE("gather and embedding: the same bits on any number of threads") {
  Tensor table = randn({50, 64});
  std::vector<int32_t> host;
  for (int32_t i = 0; i < 3000; ++i) host.push_back(i * i % 47);
  const Tensor index = tensor(host, {3000}), dy = randn({3000, 64});
  const auto run = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    table.attach_grad();
    Tensor y;
    {
      const autograd::Record record;
      y = embedding(table, index);
    }
    y.backward({.head_grads = {dy}});
    set_num_threads(before);
    return std::pair{y.to_vector<float>(), table.grad().to_vector<float>()};
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(3) == one);
}

TEST_CASE("gather: an index changed after the forward pass is an error, not a wrong gradient") {
  Tensor x = ones({3}), index = tensor({0, 1});
  x.attach_grad();
  Tensor y;
  {
    const autograd::Record record;
    y = gather(x, 0, index).sum();
  }
  index.fill_(2);
  CHECK(throws<AutogradError>("backward of gather: …", [&] { y.backward(); }) == "");
}
