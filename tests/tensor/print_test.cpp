// Printing: aligned columns and nested brackets as NumPy's, then dtype, shape and device.
#include <doctest/doctest.h>

#include <clocale>
#include <limits>
#include <sstream>

#include "weft/tensor/tensor.h"

using namespace weft;

namespace {
// Without the last line.
std::string values(const Tensor& x) {
  const std::string text = to_string(x);
  return text.substr(0, text.rfind('\n'));
}
}  // namespace

TEST_CASE("print: values, then what the tensor is") {
  CHECK(to_string(tensor({{1.f, 2.5f}, {-30.f, 4.f}})) ==
        "[[  1.0000,   2.5000],\n [-30.0000,   4.0000]]\nfloat32[2, 2] on cpu:0");
  CHECK(to_string(tensor({1, 20, -3})) == "[ 1, 20, -3]\nint32[3] on cpu:0");
  CHECK(to_string(tensor({true, false})) == "[ true, false]\nbool[2] on cpu:0");
  CHECK(to_string(tensor(2.5)) == "2.5000\nfloat64[] on cpu:0");
  CHECK(to_string(zeros({0, 3})) == "[]\nfloat32[0, 3] on cpu:0");
  CHECK(to_string(ones({1}, {.dtype = DType::bf16, .device = "cpu:3"})) == "[1.0]\nbfloat16[1] on cpu:3");
  CHECK(to_string(Tensor()) == "tensor(undefined)");
  std::ostringstream out;
  out << tensor({7});
  CHECK(out.str() == "[7]\nint32[1] on cpu:0");
}

TEST_CASE("print: blocks of higher rank are set apart") {
  CHECK(values(arange(0, 8, 1, {.dtype = DType::i64}).reshape({2, 2, 2})) ==
        "[[[0, 1],\n  [2, 3]],\n\n [[4, 5],\n  [6, 7]]]");
}

TEST_CASE("print: whole numbers, small and large ones, NaN and infinities") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(values(tensor({1.0, -2.0})) == "[ 1.0, -2.0]");
  CHECK(values(tensor({0.5, inf, -inf, nan})) == "[0.5000,    inf,   -inf,    nan]");
  CHECK(values(tensor({1e-6, 1.0})) == "[1.0000e-06, 1.0000e+00]");
  CHECK(values(tensor({1e12, 0.5})) == "[1.0000e+12, 5.0000e-01]");
  CHECK(values(tensor({nan, nan})) == "[nan, nan]");
  CHECK(values(tensor({int64_t{9007199254740993}, int64_t{-1}})) ==
        "[9007199254740993,               -1]");  // above 2^53
}

TEST_CASE("print: long axes are summarised, short ones are not") {
  const std::string longer = values(arange(0, 1001, 1, {.dtype = DType::i32}));
  CHECK(longer == "[   0,    1,    2, ...,  998,  999, 1000]");
  CHECK(values(arange(0, 1000, 1, {.dtype = DType::i32})).find("...") == std::string::npos);
  const std::string table = values(zeros({1000, 2}, {.dtype = DType::u8}));
  CHECK(table == "[[0, 0],\n [0, 0],\n [0, 0],\n ...,\n [0, 0],\n [0, 0],\n [0, 0]]");
}

TEST_CASE("print: layout and device do not show") {
  const Tensor x = arange(0, 6, 1, {.dtype = DType::i32}).reshape({2, 3});
  CHECK(values(x.transpose()) == "[[0, 3],\n [1, 4],\n [2, 5]]");
  CHECK(values(x.slice(1, 0, 3, 2)) == "[[0, 2],\n [3, 5]]");
}

TEST_CASE("print: a decimal-comma locale of the host program does not get in") {
  if (!std::setlocale(LC_NUMERIC, "de_DE.UTF-8")) return;  // no such locale here
  const std::string text = values(tensor({0.5}));
  std::setlocale(LC_NUMERIC, "C");
  CHECK(text == "[0.5000]");
}
