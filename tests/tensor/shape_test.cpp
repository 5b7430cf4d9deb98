// Dims, strides, broadcasting, axes, checked products.
#include <doctest/doctest.h>

#include <vector>

#include "tests/support/op_table.h"
#include "weft/tensor/shape.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("shape: a list of up to eight extents") {
  Dims dims{2, 3};
  dims.push_back(4);
  dims.insert(0, 1);
  CHECK(dims == Dims{1, 2, 3, 4});
  CHECK(dims.back() == 4);
  dims.erase(1);
  CHECK(dims == Dims{1, 3, 4});
  CHECK(dims != Dims{1, 3});
  CHECK(dims != Dims{1, 3, 5});
  CHECK(Dims{}.empty());
  CHECK(Dims::filled(3, 7) == Dims{7, 7, 7});
  CHECK(to_string(Dims{2, 3}) == "[2, 3]");
  CHECK(to_string(Dims{}) == "[]");
  const std::vector<int64_t> nine(9, 1);
  CHECK(throws<ShapeError>("shape: 9 dimensions; weft holds at most 8",
                           [&] { Dims{std::span<const int64_t>(nine)}; }) == "");
  CHECK(throws<ShapeError>("shape: one more dimension than [1, 1, 1, 1, 1, 1, 1, 1]; weft holds at most 8",
                           [] { Dims::filled(8, 1).push_back(1); }) == "");
}

TEST_CASE("shape: the number of elements is a checked product") {
  CHECK(numel_of({}) == 1);
  CHECK(numel_of({2, 3, 4}) == 24);
  CHECK(numel_of({5, 0, 7}) == 0);
  CHECK(numel_of({int64_t{1} << 31, int64_t{1} << 31}) == int64_t{1} << 62);
  CHECK(throws<ShapeError>("zeros: negative extent in shape [2, -3]", [] { numel_of({2, -3}, "zeros"); }) == "");
  CHECK(throws<ShapeError>("shape: negative extent in shape [0, -3]", [] { numel_of({0, -3}); }) == "");
  CHECK(throws<ShapeError>("empty: shape [2147483648, 2147483648, 2] has more than 2^62 elements", [] {
          numel_of({int64_t{1} << 31, int64_t{1} << 31, 2}, "empty");
        }) == "");
  // Products that wrap around to a small number.
  CHECK(throws<ShapeError>("shape: …2^62 elements", [] { numel_of({4194305, 4194305, 211106198978564}); }) == "");
  CHECK(throws<ShapeError>("shape: …2^62 elements", [] { numel_of({INT64_MAX, INT64_MAX}); }) == "");
  // A zero among huge extents is a small tensor.
  CHECK(numel_of({INT64_MAX, 0, INT64_MAX}) == 0);
}

TEST_CASE("shape: strides of both layouts") {
  CHECK(strides_of({}) == Strides{});
  CHECK(strides_of({2, 3, 4}) == Strides{12, 4, 1});
  CHECK(strides_of({2, 3, 4, 5}, Layout::channels_last) == Strides{60, 1, 15, 3});
  CHECK(strides_of({2, 3, 4}, Layout::channels_last) == Strides{12, 1, 3});
  CHECK(strides_of({2, 3}, Layout::channels_last) == Strides{3, 1});
  CHECK(strides_of({2, 0, 3}) == Strides{3, 3, 1});
}

TEST_CASE("shape: which strides are dense") {
  CHECK(is_dense({2, 3}, {3, 1}, Layout::row_major));
  CHECK(!is_dense({2, 3}, {1, 2}, Layout::row_major));
  CHECK(is_dense({2, 1}, {1, 99}, Layout::row_major));  // an extent of 1 takes no step
  CHECK(is_dense({1, 3}, {0, 1}, Layout::row_major));
  CHECK(is_dense({0, 3}, {17, 5}, Layout::row_major));  // no elements, no gaps
  CHECK(is_dense({2, 3, 4, 5}, {60, 1, 15, 3}, Layout::channels_last));
  CHECK(!is_dense({2, 3, 4, 5}, {60, 20, 5, 1}, Layout::channels_last));
  CHECK(is_dense({2, 1, 4, 5}, {20, 20, 5, 1}, Layout::channels_last));  // both at once with one channel
  CHECK(is_dense({2, 1, 4, 5}, {20, 20, 5, 1}, Layout::row_major));

  CHECK(is_permuted_dense({2, 3}, {1, 2}));
  CHECK(is_permuted_dense({2, 3, 4}, {3, 1, 6}));
  CHECK(is_permuted_dense({}, {}));
  CHECK(!is_permuted_dense({2, 3}, {6, 2}));
  CHECK(!is_permuted_dense({2, 3}, {0, 1}));
  CHECK(!is_permuted_dense({2, 2}, {1, 1}));
  CHECK(is_permuted_dense({4, 1, 3}, {1, 77, 4}));
}

TEST_CASE("shape: broadcasting") {
  CHECK(broadcast("add", {2, 3}, {2, 3}) == Shape{2, 3});
  CHECK(broadcast("add", {2, 3}, {3}) == Shape{2, 3});
  CHECK(broadcast("add", {2, 1}, {3}) == Shape{2, 3});
  CHECK(broadcast("add", {}, {2, 3}) == Shape{2, 3});
  CHECK(broadcast("add", {1, 1, 4}, {5, 1}) == Shape{1, 5, 4});
  CHECK(broadcast("add", {0, 3}, {1, 3}) == Shape{0, 3});
  CHECK(broadcast("add", {1}, {0}) == Shape{0});
  CHECK(throws<ShapeError>("add: shapes [2, 3] and [4] do not broadcast (dimension 1: 3 against 4)", [] {
          broadcast("add", {2, 3}, {4});
        }) == "");
  CHECK(throws<ShapeError>("mul: shapes [2, 0] and [2, 3] do not broadcast (dimension 1: 0 against 3)", [] {
          broadcast("mul", {2, 0}, {2, 3});
        }) == "");
}

TEST_CASE("shape: axes count from both ends") {
  CHECK(normalize_axis("sum", 0, 3) == 0);
  CHECK(normalize_axis("sum", -1, 3) == 2);
  CHECK(normalize_axis("sum", -3, 3) == 0);
  CHECK(throws<IndexError>("sum: axis 3 is out of range for a tensor of rank 3", [] { normalize_axis("sum", 3, 3); }) ==
        "");
  CHECK(throws<IndexError>("sum: axis -4 is out of range for a tensor of rank 3",
                           [] { normalize_axis("sum", -4, 3); }) == "");
  CHECK(throws<IndexError>("sum: axis 0 is out of range for a tensor of rank 0", [] { normalize_axis("sum", 0, 0); }) ==
        "");
}
