// Against PyTorch: cases/elementwise.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/unary.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: elementwise") {
  check_file("unary", {{"neg", unary_case([](auto& x) { return -x; })},
                       {"abs", unary_case([](auto& x) { return abs(x); })},
                       {"square", unary_case([](auto& x) { return square(x); })},
                       {"reciprocal", unary_case([](auto& x) { return reciprocal(x); })},
                       {"sqrt", unary_case([](auto& x) { return sqrt(x); })},
                       {"rsqrt", unary_case([](auto& x) { return rsqrt(x); })},
                       {"exp", unary_case([](auto& x) { return exp(x); })},
                       {"log", unary_case([](auto& x) { return log(x); })},
                       {"tanh", unary_case([](auto& x) { return tanh(x); })},
                       {"sigmoid", unary_case([](auto& x) { return sigmoid(x); })},
                       {"relu", unary_case([](auto& x) { return relu(x); })},
                       {"tanh_wide", unary_case([](auto& x) { return tanh(x); })},
                       {"sigmoid_wide", unary_case([](auto& x) { return sigmoid(x); })},
                       {"exp_wide", unary_case([](auto& x) { return exp(x); })}});
  check_file("binary", {{"add", binary_case([](auto& a, auto& b) { return a + b; })},
                        {"sub", binary_case([](auto& a, auto& b) { return a - b; })},
                        {"mul", binary_case([](auto& a, auto& b) { return a * b; })},
                        {"div", binary_case([](auto& a, auto& b) { return a / b; })},
                        {"maximum", binary_case([](auto& a, auto& b) { return maximum(a, b); })},
                        {"minimum", binary_case([](auto& a, auto& b) { return minimum(a, b); })}});
}
