// The golden files' own checks can fail.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "tests/support/paths.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: the comparison finds a wrong case, a file that ends early, a file that is none") {
  const auto file = read_npz(source_path("tests/golden/softmax.npz"));
  const Golden golden(file, "last", DType::f64, {});
  const Array wrong = map(golden.array("y"), [](double y) { return y * 1.000001; });
  CHECK(!difference(wrong, golden.array("y"), {2e-7, 1e-7}).empty());
  CHECK_THROWS_AS(read_npz(source_path("tests/golden/none.npz")), Error);
  CHECK_THROWS_AS(read_npz(source_path("tests/golden/make_golden.py")), Error);
  CHECK_THROWS_AS(parse_npy(std::string_view("\x93NUMPY\x01\x00\x76\x00{'descr'", 18), "short"), Error);
}
