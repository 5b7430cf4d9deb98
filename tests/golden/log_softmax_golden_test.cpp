// Against PyTorch: cases/log_softmax.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/log_softmax.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: log_softmax") {
  check_file("log_softmax", {{"last", unary_case([](auto& x) { return log_softmax(x); })},
                             {"middle", unary_case([](auto& x) { return log_softmax(x, 1); })},
                             {"large", unary_case([](auto& x) { return log_softmax(x, -1); })}});
}
