// Against PyTorch: cases/pad.py, whose sides are left, right, top, bottom.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/pad.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: padding") {
  const auto by = [](const Padding& p, const PadOptions& options) {
    return unary_case([p, options](const Tensor& x) { return pad(x, p, options); });
  };
  check_file("pad", {{"constant", by({3, 0, 1, 2}, {.value = 1.5})},
                     {"crop", by({1, -2, -1, 2}, {})},
                     {"reflect", by({3, 4, 1, 2}, {.mode = PadMode::reflect})},
                     {"replicate", by({0, 1, 7, 2}, {.mode = PadMode::replicate})}});
}
