// Against PyTorch: cases/softmax.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/softmax.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: softmax") {
  check_file("softmax", {{"last", unary_case([](auto& x) { return softmax(x); })},
                         {"middle", unary_case([](auto& x) { return softmax(x, 1); })},
                         {"large", unary_case([](auto& x) { return softmax(x, -1); })}});
}
