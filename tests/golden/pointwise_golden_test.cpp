// Against PyTorch: cases/pointwise.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/lerp.h"
#include "weft/autograd/ops/unary.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: more of elementwise") {
  check_file("pointwise", {{"expm1", unary_case([](auto& x) { return expm1(x); })},
                           {"log1p", unary_case([](auto& x) { return log1p(x); })},
                           {"sin", unary_case([](auto& x) { return sin(x); })},
                           {"cos", unary_case([](auto& x) { return cos(x); })},
                           {"sin_large", unary_case([](auto& x) { return sin(x); })},
                           {"cos_large", unary_case([](auto& x) { return cos(x); })},
                           {"erf", unary_case([](auto& x) { return erf(x); })},
                           {"elu", unary_case([](auto& x) { return elu(x); })},
                           {"elu_kinks", unary_case([](auto& x) { return elu(x); })},
                           {"hard_swish", unary_case([](auto& x) { return hard_swish(x); })},
                           {"hard_swish_kinks", unary_case([](auto& x) { return hard_swish(x); })},
                           {"hard_sigmoid", unary_case([](auto& x) { return hard_sigmoid(x); })},
                           {"hard_sigmoid_kinks", unary_case([](auto& x) { return hard_sigmoid(x); })},
                           {"sign", unary_case([](auto& x) { return sign(x); })},
                           {"floor", unary_case([](auto& x) { return floor(x); })},
                           {"ceil", unary_case([](auto& x) { return ceil(x); })},
                           {"round", unary_case([](auto& x) { return round(x); })},
                           {"round_halves", unary_case([](auto& x) { return round(x); })},
                           {"pow", binary_case([](auto& a, auto& b) { return pow(a, b); })},
                           {"pow_zeros", binary_case([](auto& a, auto& b) { return pow(a, b); })},
                           {"remainder", binary_case([](auto& a, auto& b) { return remainder(a, b); })},
                           {"lerp", [](const Tensors& x, const Golden&) { return lerp(x[0], x[1], x[2]); }},
                           {"lerp_number", binary_case([](auto& a, auto& b) { return lerp(a, b, 0.7); })}});
}
