// Against PyTorch: cases/linear.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/linear.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: linear and outer") {
  check_file("linear", {{"rows", [](const Tensors& x, const Golden&) { return linear(x[0], x[1], x[2]); }},
                        {"no_bias", binary_case([](const Tensor& x, const Tensor& w) { return linear(x, w); })}});
  check_file("outer", {{"vectors", binary_case([](const Tensor& a, const Tensor& b) { return outer(a, b); })}});
}
