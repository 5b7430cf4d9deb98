// Copies: dtypes, layouts, devices, overlapping memory, transposes.
#include "weft/tensor/ops/copy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_table.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/copy.h"
#include "weft/tensor/cpu/threads.h"
#include "weft/tensor/ops/geometry.h"

using namespace weft;
using namespace weft::test;

namespace {

Array same(const Arrays& v) { return v[0]; }

// arange in `shape`, so that every element tells where it came from.
Tensor numbered(const Shape& shape, DType dtype = DType::f32) {
  return arange(0, static_cast<double>(numel_of(shape)), 1, {.dtype = dtype}).reshape(shape);
}

}  // namespace

OP_TABLE(copy) {
  table.op("to")
      .row("f32", {input({3, 4, 5})}, [](const Tensors& v) { return to(v[0], DType::f32); }, same,
           {.result = DType::f32, .slack = 1e5, .no_gradient = "f32 is too coarse for differences"})
      .row("f64", {input({3, 4, 5})}, [](const Tensors& v) { return to(v[0], DType::f64); }, same,
           {.result = DType::f64})
      .row(
          "there and back", {input({2, 3, 4, 5})},
          [](const Tensors& v) { return to(to(v[0], DType::f64), row_dtype()); }, same)
      .row("whole numbers to i64", {input({3, 40}).integers()}, [](const Tensors& v) { return to(v[0], DType::i64); },
           same, {.dtypes = all_dtypes, .exact = true, .result = DType::i64, .no_gradient = "integers have none"})
      .row("whole numbers to bf16", {input({3, 40}).integers()}, [](const Tensors& v) { return to(v[0], DType::bf16); },
           same,
           {.dtypes = all_dtypes,
            .exact = true,
            .result = DType::bf16,
            .no_gradient = "bf16 is too coarse for differences"})
      .row(
          "whole numbers to bool", {input({3, 40}).integers()},
          [](const Tensors& v) { return to(v[0], DType::boolean); },
          [](const Arrays& v) { return map(v[0], [](double x) { return double(x != 0); }); },
          {.dtypes = all_dtypes, .exact = true, .result = DType::boolean, .no_gradient = "bool has none"})
      .row(
          "same device", {input({3, 4})}, [](const Tensors& v) { return to(v[0], v[0].device()) * 1; }, same)
      .row("no elements", {input({3, 0})}, [](const Tensors& v) { return to(v[0], DType::f64); }, same,
           {.result = DType::f64})
      .error<DeviceError>("no such device", "…cuda…", [] { to(ones({2}), "cuda:99"); });
  table.op("contiguous")
      .row(
          "transposed", {input({3, 4, 5})}, [](const Tensors& v) { return contiguous(v[0].transpose(0, 2)); },
          [](const Arrays& v) {
            Array y({5, 4, 3});
            for (int i = 0; i < 5; ++i)
              for (int j = 0; j < 4; ++j)
                for (int k = 0; k < 3; ++k) y(i, j, k) = v[0](k, j, i);
            return y;
          })
      .row(
          "channels-last", {input({2, 3, 4, 5})},
          [](const Tensors& v) { return contiguous(v[0], Layout::channels_last) * 1; }, same)
      .row("dtypes", {input({2, 3, 4, 5}).integers()},
           [](const Tensors& v) { return contiguous(v[0], Layout::channels_last); }, same,
           {.dtypes = all_dtypes, .exact = true})
      .row(
          "no elements", {input({2, 3, 0})}, [](const Tensors& v) { return contiguous(v[0].transpose(0, 1)); },
          [](const Arrays&) {
            return Array({3, 2, 0});
          })
      .none(Cell::errors, "every tensor can be copied");
  table.op("clone")
      .row(
          "image", {input({2, 3, 4, 5})}, [](const Tensors& v) { return clone(v[0]); }, same)
      .row("dtypes", {input({3, 40}).integers()}, [](const Tensors& v) { return clone(v[0]); }, same,
           {.dtypes = all_dtypes, .exact = true})
      .row(
          "no elements", {input({0})}, [](const Tensors& v) { return clone(v[0]); }, same)
      .none(Cell::errors, "every tensor can be copied");
}

TEST_CASE("copy: nothing is copied where nothing has to change, and clone always copies") {
  const Tensor x = ones({2, 3, 4, 5});
  CHECK(to(x, DType::f32).same(x));
  CHECK(to(x, "cpu:0").same(x));
  CHECK(contiguous(x).same(x));
  CHECK(&clone(x).storage() != &x.storage());
  const Tensor last = contiguous(x, Layout::channels_last);
  CHECK(clone(last).strides() == last.strides());
  CHECK(to(last, DType::f64).strides() == last.strides());
  CHECK(to(last, "cpu:1").strides() == last.strides());
  CHECK(clone(last.slice(1, 0, 2)).is_contiguous());
}

TEST_CASE("copy: between layouts, for every element size, with extents around the tiles") {
  for (const DType dtype : {DType::u8, DType::f16, DType::f32, DType::f64})
    for (const Shape& shape : {Shape{2, 3, 5, 7}, Shape{1, 70, 9, 11}, Shape{2, 64, 16, 8}, Shape{3, 130, 1, 5}}) {
      const Tensor x = numbered(shape, dtype);
      const std::vector<double> values = x.to_vector<double>();
      const Tensor last = x.contiguous(Layout::channels_last);
      CHECK(last.is_contiguous(Layout::channels_last));
      CHECK(last.to_vector<double>() == values);
      CHECK(last.contiguous().to_vector<double>() == values);
      const Tensor turned = x.permute({3, 1, 0, 2}).contiguous();
      CHECK(turned.permute({2, 1, 3, 0}).to_vector<double>() == values);
    }
}

TEST_CASE("copy: large transposes on any number of threads") {
  const Tensor x = numbered({611, 257});
  const std::vector<float> values = x.to_vector<float>();
  for (const int team : {1, 3}) {
    const cpu::TeamGuard guard(team);
    const Tensor y = x.transpose().contiguous();
    CHECK(y[5].slice(0, 600, 601).item<float>() == 600 * 257 + 5);
    CHECK(y.transpose().to_vector<float>() == values);
    CHECK(y.transpose().to(DType::f64).to(DType::f32).to_vector<float>() == values);
  }
}

TEST_CASE("copy_: broadcasts, converts, advances the version, refuses shared elements") {
  Tensor y = zeros({2, 3}, {.dtype = DType::i32});
  y.copy_(tensor({1.9f, -1.9f, 3e10f}));
  CHECK(y.to_vector<int32_t>() == std::vector<int32_t>{1, -1, 2147483647, 1, -1, 2147483647});
  CHECK(y.storage().version() == 1);
  CHECK(std::string(y.storage().last_writer()) == "copy_");
  y.slice(1, 0, 3, 2).copy_(tensor({7, 8}));
  CHECK(y[1].to_vector<int32_t>() == std::vector<int32_t>{7, -1, 8});
  CHECK(throws<ShapeError>("copy_: shape [2, 3] does not fit into [3]", [] { zeros({3}).copy_(ones({2, 3})); }) == "");
  CHECK(throws<ShapeError>("copy_: elements of the destination share memory …", [] {
          zeros({3}).expand({2, 3}).copy_(ones({2, 3}));
        }) == "");
}

TEST_CASE("copy_: from memory that overlaps the destination") {
  Tensor line = numbered({6});
  line.slice(0, 1, 6).copy_(line.slice(0, 0, 5));
  CHECK(line.to_vector<float>() == std::vector<float>{0, 0, 1, 2, 3, 4});
  Tensor square = numbered({3, 3});
  square.copy_(square.transpose());
  CHECK(square.to_vector<float>() == std::vector<float>{0, 3, 6, 1, 4, 7, 2, 5, 8});
}

TEST_CASE("copy: conversions keep special values as the standard says") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = tensor({inf, -inf, nan, -0.0f, 65520.0f, 1e-8f});
  CHECK(x.to(DType::i32).to_vector<int32_t>() == std::vector<int32_t>{2147483647, -2147483647 - 1, 0, 0, 65520, 0});
  CHECK(x.to(DType::u8).to_vector<uint8_t>() == std::vector<uint8_t>{255, 0, 0, 0, 255, 0});
  CHECK(x.to(DType::boolean).to_vector<uint8_t>() == std::vector<uint8_t>{1, 1, 1, 0, 1, 1});
  const std::vector<float> half = x.to(DType::f16).to_vector<float>();
  CHECK(half[0] == inf);
  CHECK(std::isnan(half[2]));
  CHECK(std::signbit(half[3]));
  CHECK(half[4] == inf);  // the first number that rounds out of range
  CHECK(half[5] == 0);
  CHECK(tensor({int64_t{1} << 40, int64_t{300}}).to(DType::u8).to_vector<int>() == std::vector<int>{0, 44});
}

TEST_CASE("copy: from one CPU device to another") {
  const Tensor x = numbered({2, 3, 4, 5}).contiguous(Layout::channels_last);
  const Tensor y = x.to("cpu:1");
  CHECK(y.device() == Device("cpu:1"));
  CHECK(y.to_vector<float>() == x.to_vector<float>());
  Tensor z = zeros({2, 3, 4, 5}, {.dtype = DType::f64, .device = "cpu:2"});
  z.copy_(y);
  CHECK(z.to_vector<float>() == x.to_vector<float>());
}
