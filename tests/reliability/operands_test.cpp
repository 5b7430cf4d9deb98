// What users hand to operations by mistake, or at the edges: rows 21 to 36 of the faults weft survives. Texts of single
// operations are in the op table; here are those that all share.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_table.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("operands: shapes, dtypes, devices") {
  CHECK(throws<ShapeError>("add: shapes [2, 3] and [4] do not broadcast (dimension 1: 3 against 4)", [] {
          ones({2, 3}) + ones({4});
        }) == "");
  CHECK(throws<DeviceError>("add: operands on cpu:0 and cpu:1; move one with .to(cpu:0)",
                            [] { ones({2}) + ones({2}, {.device = "cpu:1"}); }) == "");
  CHECK(throws<ShapeError>("matmul: inner sizes differ, [8, 3] x [4, 5]…", [] {
          matmul(ones({8, 3}), ones({4, 5}));
        }) == "");
  CHECK(throws<DtypeError>("softmax: needs a floating dtype, got int64; convert with .to(DType::f32)",
                           [] { softmax(arange(0, 3, 1, {.dtype = DType::i64})); }) == "");
  CHECK(throws<IndexError>("softmax: axis 2 is out of range for a tensor of rank 2", [] {
          softmax(ones({2, 2}), 2);
        }) == "");
}

TEST_CASE("operands: a refused operation leaves everything as it was") {
  const Tensor a = arange(0, 6).reshape({2, 3}), b = ones({4});
  const int64_t live = memory_stats("cpu").live_storages;
  for (int i = 0; i < 10; ++i) {
    CHECK_THROWS_AS(a + b, ShapeError);
    CHECK_THROWS_AS(matmul(a, b), ShapeError);
    CHECK_THROWS_AS(a.reshape({5}), ShapeError);
  }
  CHECK(a.to_vector<float>() == std::vector<float>{0, 1, 2, 3, 4, 5});
  CHECK(a.storage().version() == 0);
  CHECK(memory_stats("cpu").live_storages == live);
}

TEST_CASE("operands: huge shapes are refused before anything is allocated") {
  const MemoryStats before = memory_stats("cpu");
  const int64_t huge = int64_t{1} << 40;
  const Tensor one = ones({1, 1});
  CHECK_THROWS_AS(zeros({huge, huge}), ShapeError);
  CHECK_THROWS_AS(one.expand({huge, huge}), ShapeError);
  CHECK_THROWS_AS(one.expand({huge, 1}) + one.expand({1, huge}), ShapeError);
  CHECK_THROWS_AS(matmul(one.expand({huge, 1}), one.expand({1, huge})), ShapeError);
  CHECK_THROWS_AS(zeros({-1}), ShapeError);
  CHECK_THROWS_AS(ones({2}).reshape({-2}), ShapeError);
  CHECK_THROWS_AS(ones({2}).expand({-3, 2}), ShapeError);
  CHECK(memory_stats("cpu").allocations <= before.allocations + 3);
}

TEST_CASE("operands: more than 2^31 elements") {
  // A view of few bytes with many elements: offsets must not be computed in 32 bits.
  const int64_t many = (int64_t{1} << 31) + 7;
  const Tensor x = ones({1}, {.dtype = DType::u8}).expand({many});
  CHECK(x.numel() == many);
  CHECK(x.slice(0, many - 3, many).sum().item<int64_t>() == 3);
  CHECK(x[many - 1].item<int>() == 1);
  const Tensor table = ones({1, 5}).expand({many, 5});
  CHECK(table.slice(0, many - 2, many).sum().item<float>() == 10);
}

TEST_CASE("operands: NaN and infinities go where they belong") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const Tensor x = tensor({1.f, nan, inf, -inf});
  const auto relu_of = relu(x).to_vector<float>();
  CHECK(relu_of[0] == 1);
  CHECK(std::isnan(relu_of[1]));
  CHECK(relu_of[2] == inf);
  CHECK(relu_of[3] == 0);
  CHECK(std::isnan(x.sum().item<float>()));
  CHECK(std::isnan(x.max().item<float>()));
  CHECK(std::isnan(maximum(x, zeros({4})).to_vector<float>()[1]));
  CHECK(std::isnan(minimum(zeros({4}), x).to_vector<float>()[1]));
  CHECK(tensor({-inf, 2.f}).max().item<float>() == 2);
  const auto p = softmax(tensor({{0.f, -inf}, {-inf, -inf}}), 1).to_vector<float>();
  CHECK(p[0] == 1);
  CHECK(p[1] == 0);
  CHECK(std::isnan(p[2]));
}
