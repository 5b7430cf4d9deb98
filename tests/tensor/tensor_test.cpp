// Tensor: creation, views, host values, in-place changes, and the errors of misuse.
#include <doctest/doctest.h>

#include <cstring>
#include <numeric>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/tensor.h"

using namespace weft;
using namespace weft::test;

namespace {
using Floats = std::vector<float>;

Tensor counted(const Shape& shape, Device device = {}) {
  std::vector<float> values(static_cast<size_t>(numel_of(shape)));
  std::iota(values.begin(), values.end(), 0.f);
  return tensor(values, shape, device);
}
}  // namespace

TEST_CASE("tensor: creation") {
  static_assert(sizeof(Tensor) == sizeof(void*));
  for (const Device device : devices_to_test()) {
    const DeviceGuard guard(device);
    const Tensor z = zeros({2, 3});
    CHECK(z.shape() == Shape{2, 3});
    CHECK(z.strides() == Strides{3, 1});
    CHECK(z.dtype() == DType::f32);
    CHECK(z.device() == device);
    CHECK(z.numel() == 6);
    CHECK(z.rank() == 2);
    CHECK(z.size(-1) == 3);
    CHECK(z.to_vector<float>() == Floats(6, 0));
    CHECK(ones({2}).to_vector<float>() == Floats{1, 1});
    CHECK(full({2}, -1.5, {.dtype = DType::f16}).to_vector<float>() == Floats{-1.5, -1.5});
    CHECK(full({2}, 7, {.dtype = DType::u8}).to_vector<int>() == std::vector<int>{7, 7});
    CHECK(full({2}, 3, {.dtype = DType::boolean}).to_vector<int>() == std::vector<int>{1, 1});
    CHECK(full({}, 4).item<float>() == 4);
    CHECK(arange(0, 5).to_vector<float>() == Floats{0, 1, 2, 3, 4});
    CHECK(arange(5, 0, -2, {.dtype = DType::i64}).to_vector<int64_t>() == std::vector<int64_t>{5, 3, 1});
    CHECK(arange(1, 1).numel() == 0);
    const Tensor t = tensor({{1.f, 2.f}, {3.f, 4.f}});
    CHECK(t.shape() == Shape{2, 2});
    CHECK(t.to_vector<float>() == Floats{1, 2, 3, 4});
    CHECK(tensor({1, 2, 3}).dtype() == DType::i32);
    CHECK(tensor({true, false}).dtype() == DType::boolean);
    CHECK(tensor({true, false}).to_vector<bool>() == std::vector<bool>{true, false});
    CHECK(tensor(2.5).item<double>() == 2.5);
    CHECK(tensor(2.5).rank() == 0);
    const Tensor cl = empty({2, 3, 4, 5}, {}, Layout::channels_last);
    CHECK(cl.strides() == Strides{60, 1, 15, 3});
    CHECK(empty_like(cl).strides() == cl.strides());
    CHECK(zeros_like(cl).strides() == cl.strides());
    CHECK(ones_like(tensor({2.0})).to_vector<double>() == std::vector<double>{1});
    CHECK(empty_like(counted({4, 4}).slice(1, 0, 2)).is_contiguous());
  }
}

TEST_CASE("tensor: errors of creation") {
  CHECK(throws<ShapeError>("empty: negative extent in shape [2, -1]", [] { empty({2, -1}); }) == "");
  CHECK(throws<ShapeError>("empty: shape [4611686018427387904, 2] has more than 2^62 elements", [] {
          zeros({int64_t{1} << 62, 2});
        }) == "");
  CHECK(throws<ShapeError>("tensor: 3 values do not fill shape [2, 2]", [] { tensor(Floats{1, 2, 3}, {2, 2}); }) == "");
  CHECK(throws<ShapeError>("tensor: rows of 2 and 1 values", [] { tensor({{1.f, 2.f}, {3.f}}); }) == "");
  CHECK(throws<DeviceError>("device cpu:64 does not exist; CPU devices are cpu:0 to cpu:63",
                            [] { empty({2}, {.device = "cpu:64"}); }) == "");
}

TEST_CASE("tensor: undefined and moved-from tensors say so") {
  const std::string text =
      "tensor: this tensor is undefined (default-constructed or moved from); assign one before using it";
  Tensor x;
  CHECK(!x.defined());
  CHECK(throws<Error>(text, [&] { x.shape(); }) == "");
  CHECK(throws<Error>(text, [&] { x.to_vector<float>(); }) == "");
  Tensor y = ones({2});
  const Tensor z = std::move(y);
  CHECK(z.defined());
  CHECK(throws<Error>(text, [&] { y.numel(); }) == "");  // NOLINT: reading a moved-from tensor is the test
  CHECK(throws<Error>(text, [&] { y + z; }) == "");
  CHECK(throws<Error>(text, [&] { z + y; }) == "");
  CHECK(throws<Error>(text, [&] { y.sum(); }) == "");
}

TEST_CASE("tensor: host values in logical order, converted") {
  for (const Device device : devices_to_test()) {
    const Tensor x = counted({2, 3}, device);
    CHECK(x.transpose().to_vector<float>() == Floats{0, 3, 1, 4, 2, 5});
    CHECK(x.to_vector<int64_t>() == std::vector<int64_t>{0, 1, 2, 3, 4, 5});
    CHECK(x.to_vector<bool>() == std::vector<bool>{false, true, true, true, true, true});
    CHECK(x.to_vector<double>()[5] == 5);
    CHECK(static_cast<float>(x.to_vector<Half>()[4]) == 4);
    CHECK(x[1][2].item<float>() == 5);
    CHECK(x[1][2].item<int>() == 5);
    CHECK(throws<ShapeError>("item: the tensor has shape [2, 3]; item() needs exactly one element",
                             [&] { x.item<float>(); }) == "");
    CHECK(throws<ShapeError>("item: the tensor has shape [0]; …", [&] { empty({0}).item<float>(); }) == "");
    x.wait();
  }
}

TEST_CASE("tensor: typed addresses") {
  const Tensor x = counted({2, 3});
  CHECK(x.data<float>()[4] == 4);
  CHECK(x.slice(0, 1, 2).data<float>()[0] == 3);
  CHECK(throws<DtypeError>("data: the tensor holds float32, not float64; convert with .to(dtype)",
                           [&] { x.data<double>(); }) == "");
  CHECK(throws<ShapeError>("data: a tensor of shape [3, 2] and strides [1, 3] is not dense in row-major order; use "
                           ".contiguous(layout)",
                           [&] { x.transpose().data<float>(); }) == "");
  CHECK(throws<ShapeError>("data: …channels-last order…", [&] {
          counted({2, 3, 4, 5}).data<float>(Layout::channels_last);
        }) == "");
  CHECK_NOTHROW(counted({2, 3, 4, 5}).contiguous(Layout::channels_last).data<float>(Layout::channels_last));
}

TEST_CASE("tensor: views share memory, copies do not") {
  for (const Device device : devices_to_test()) {
    Tensor x = counted({3, 4}, device);
    Tensor row = x[1], column = x.slice(1, 2, 3), every_other = x.slice(1, 0, 4, 2);
    CHECK(row.shape() == Shape{4});
    CHECK(column.shape() == Shape{3, 1});
    CHECK(every_other.to_vector<float>() == Floats{0, 2, 4, 6, 8, 10});
    row.fill_(-1);
    CHECK(x.to_vector<float>() == Floats{0, 1, 2, 3, -1, -1, -1, -1, 8, 9, 10, 11});
    CHECK(column.to_vector<float>() == Floats{2, -1, 10});
    every_other.mul_(10);
    CHECK(x[2].to_vector<float>() == Floats{80, 9, 100, 11});
    Tensor copy = x.clone();
    copy.zero_();
    CHECK(x[2].to_vector<float>() == Floats{80, 9, 100, 11});
    CHECK(x.reshape({4, 3}).raw() == x.raw());
    CHECK(x.transpose().reshape({12}).raw() != x.raw());
    CHECK(x.contiguous().raw() == x.raw());
    CHECK(x.to(device).same(x));
    CHECK(x.to(DType::f32).same(x));
    CHECK(x[-1].to_vector<float>() == x[2].to_vector<float>());
    CHECK(x.expand({2, 3, 4}).strides() == Strides{0, 4, 1});
    CHECK(x.unsqueeze(-1).shape() == Shape{3, 4, 1});
    CHECK(x.unsqueeze(0).squeeze(0).shape() == Shape{3, 4});
    CHECK(x.flatten().shape() == Shape{12});
    CHECK(x.permute({1, 0}).shape() == Shape{4, 3});
    CHECK(x.slice(0, -1, 3).to_vector<float>() == x[2].to_vector<float>());
    CHECK(x.slice(0, 2, 1).numel() == 0);
    CHECK(x.detach().raw() == x.raw());
  }
}

TEST_CASE("tensor: the version belongs to the memory, so all views share it") {
  Tensor x = counted({3, 4});
  const Tensor view = x.slice(0, 1, 3).transpose();
  const uint32_t start = x.storage().version();
  x.fill_(1);
  CHECK(view.storage().version() == start + 1);
  CHECK(std::string(view.storage().last_writer()) == "fill_");
  Tensor row = x[0];
  row.add_(ones({4}));
  CHECK(std::string(x.storage().last_writer()) == "add_");
  row.copy_(ones({4}));
  CHECK(std::string(x.storage().last_writer()) == "copy_");
  row.mul_(2);
  CHECK(std::string(x.storage().last_writer()) == "mul_");
  CHECK(x.storage().version() == start + 4);
  CHECK(x.clone().storage().version() == 0);
}

TEST_CASE("tensor: in-place changes, and what refuses them") {
  for (const Device device : devices_to_test()) {
    Tensor x = counted({2, 3}, device);
    x.add_(ones({3}, {.device = device}), 10);
    CHECK(x.to_vector<float>() == Floats{10, 11, 12, 13, 14, 15});
    x.copy_(tensor({1.f, 2.f, 3.f}, device));
    CHECK(x.to_vector<float>() == Floats{1, 2, 3, 1, 2, 3});
    x.copy_(tensor({{1, 2, 3}, {4, 5, 6}}, Device("cpu")));  // from another device and dtype
    CHECK(x.to_vector<float>() == Floats{1, 2, 3, 4, 5, 6});
    x.transpose().mul_(2);
    CHECK(x.to_vector<float>() == Floats{2, 4, 6, 8, 10, 12});
    const uint32_t version = x.storage().version();
    Tensor spread = x.slice(0, 0, 1).expand({4, 3});
    CHECK(throws<ShapeError>("fill_: …", [&] { spread.fill_(0); }) == "");
    CHECK(throws<ShapeError>("add_: …", [&] { spread.add_(spread); }) == "");
    CHECK(throws<ShapeError>("mul_: …", [&] { spread.mul_(2); }) == "");
    CHECK(throws<ShapeError>("copy_: …", [&] { spread.copy_(spread); }) == "");
    CHECK(throws<ShapeError>("copy_: …", [&] { x.copy_(ones({4}, {.device = device})); }) == "");
    CHECK(throws<ShapeError>("add_: …", [&] { x.add_(ones({4}, {.device = device})); }) == "");
    CHECK(x.storage().version() == version);  // a refused change is none
    CHECK(x.to_vector<float>() == Floats{2, 4, 6, 8, 10, 12});
  }
  Tensor a = ones({2}), b = ones({2}, {.device = "cpu:1"});
  CHECK(throws<DeviceError>("add_: operands on cpu:0 and cpu:1; move one with .to(cpu:0)", [&] { a.add_(b); }) == "");
}

TEST_CASE("tensor: in place on what the tape tracks throws while recording") {
  Tensor leaf = ones({2}).attach_grad();
  leaf.fill_(3);  // outside recording a leaf may be set: that is how optimisers update
  const autograd::Record record;
  const Tensor y = leaf * leaf;
  Tensor view = y.slice(0, 0, 1), plain = ones({2});
  for (Tensor x : {leaf, Tensor(y), view}) {
    CHECK(throws<AutogradError>("fill_: …", [&] { x.fill_(0); }) == "");
    CHECK(throws<AutogradError>("add_: …", [&] { x.add_(plain); }) == "");
    CHECK(throws<AutogradError>("mul_: …", [&] { x.mul_(2); }) == "");
    CHECK(throws<AutogradError>("copy_: …", [&] { x.copy_(plain); }) == "");
  }
  CHECK_NOTHROW(plain.fill_(0));
}

TEST_CASE("tensor: foreign memory, with strides") {
  float memory[] = {0, 1, 2, 3, 4, 5, 6, 7};
  Tensor x = from_blob(memory, {2, 3}, {.strides = {4, 1}});
  CHECK(x.to_vector<float>() == Floats{0, 1, 2, 4, 5, 6});
  CHECK(x.raw() == memory);
  x.fill_(9);
  CHECK(memory[6] == 9);
  CHECK(memory[3] == 3);
  CHECK(memory[7] == 7);
  CHECK(from_blob(nullptr, {0, 2}).numel() == 0);
  CHECK(throws<Error>("from_blob: null pointer for shape [2]", [] { from_blob(nullptr, {2}); }) == "");
  CHECK(throws<ShapeError>("from_blob: shape [2, 3] with strides [1]", [&] {
          from_blob(memory, {2, 3}, {.strides = {1}});
        }) == "");
  CHECK(throws<ShapeError>("from_blob: negative stride in [-1]", [&] { from_blob(memory, {2}, {.strides = {-1}}); }) ==
        "");
  int64_t numbers[] = {5, 6};
  CHECK(from_blob(numbers, {2}, {.dtype = DType::i64}).to_vector<int64_t>() == std::vector<int64_t>{5, 6});
}

TEST_CASE("tensor: misaligned memory is read right") {
  alignas(64) unsigned char bytes[4 * 40 + 4] = {};
  for (const int shift : {1, 2, 4}) {
    for (int i = 0; i < 33; ++i) {
      const float value = static_cast<float>(i);
      std::memcpy(bytes + shift + 4 * i, &value, 4);
    }
    if (shift == 4) CHECK((from_blob(bytes + shift, {33}) + ones({33})).to_vector<float>()[32] == 33);
    CHECK(from_blob(bytes + shift, {33}, {.dtype = DType::u8}).to_vector<int>().size() == 33);
  }
  // Views that begin at any element.
  const Tensor x = counted({67});
  for (int start = 0; start < 9; ++start) {
    const Tensor y = x.slice(0, start, 67) + x.slice(0, start, 67);
    CHECK(y.to_vector<float>()[0] == 2.f * static_cast<float>(start));
    CHECK(y.to_vector<float>()[static_cast<size_t>(66 - start)] == 132);
  }
}

TEST_CASE("tensor: moving between devices and dtypes") {
  std::vector<Device> devices{"cpu:0", "cpu:1"};
  for (int i = 0; i < std::min(2, device_count(DeviceType::cuda)); ++i) devices.push_back({DeviceType::cuda, i});
  for (const Device from : devices) {
    for (const Device to : devices) {
      const Tensor x = counted({3, 4}, from);
      CHECK(x.to(to).to_vector<float>() == x.to_vector<float>());
      CHECK(x.to(to).device() == to);
      CHECK(x.transpose().to(to).to_vector<float>() == x.transpose().to_vector<float>());
      CHECK(x.slice(1, 1, 3).to(to).to_vector<float>() == x.slice(1, 1, 3).to_vector<float>());
      CHECK(zeros({0}, {.device = from}).to(to).device() == to);
    }
    const Tensor x = tensor({-1.75, 0.0, 3.5, 300.0}, from);
    CHECK(x.to(DType::i32).to_vector<int>() == std::vector<int>{-1, 0, 3, 300});
    CHECK(x.to(DType::boolean).to_vector<int>() == std::vector<int>{1, 0, 1, 1});
    CHECK(x.to(DType::f16).to(DType::f64).to_vector<double>() == std::vector<double>{-1.75, 0, 3.5, 300});
  }
}
