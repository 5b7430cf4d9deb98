// Error texts and types.
#include <doctest/doctest.h>

#include <clocale>
#include <type_traits>

#include "tests/support/op_table.h"
#include "weft/tensor/dtype.h"
#include "weft/tensor/error.h"
#include "weft/tensor/shape.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("error: parts are written one after another") {
  CHECK(throws<ShapeError>("matmul: [2, 3] x float16, 7, -1, 2.5, true, text, x", [] {
          fail<ShapeError>("matmul: ", Shape{2, 3}, " x ", DType::f16, ", ", size_t{7}, ", ", -1, ", ", 2.5f, ", ",
                           true, ", ", std::string("text"), ", ", std::string_view("x"));
        }) == "");
  CHECK(detail::concat(1e-9, " ", 0.1, " ", 1e20, " ", 100000.0) == "1e-09 0.1 1e+20 100000");
}

TEST_CASE("error: a check builds its text only on failure") {
  int built = 0;
  auto part = [&] { return ++built, "late"; };
  WEFT_CHECK(Error, true, part());
  CHECK(built == 0);
  CHECK(throws<IndexError>("late", [&] { WEFT_CHECK(IndexError, false, part()); }) == "");
  CHECK(built == 1);
  if (built)
    WEFT_CHECK(Error, true, "a statement of its own, also before else");
  else
    CHECK(false);
}

TEST_CASE("error: one base for all, device losses are device errors") {
  static_assert(std::is_base_of_v<Error, ShapeError> && std::is_base_of_v<Error, DtypeError> &&
                std::is_base_of_v<Error, IndexError> && std::is_base_of_v<Error, OutOfMemory> &&
                std::is_base_of_v<Error, AutogradError> && std::is_base_of_v<DeviceError, DeviceLost> &&
                std::is_base_of_v<std::runtime_error, Error>);
  try {
    fail<DeviceLost>("cuda:1 is lost");
  } catch (const DeviceError& e) {
    CHECK(std::string(e.what()) == "cuda:1 is lost");
  }
}

TEST_CASE("error: numbers do not follow the host program's locale") {
  if (!std::setlocale(LC_ALL, "de_DE.UTF-8")) return;  // no such locale here
  const std::string text = detail::concat(1234567.5, " ", 2.5);
  std::setlocale(LC_ALL, "C");
  CHECK(text == "1.23457e+06 2.5");
}
