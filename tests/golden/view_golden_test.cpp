// Against PyTorch: cases/view.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/concat.h"
#include "weft/autograd/ops/view.h"
#include "weft/autograd/ops/where.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: views") {
  check_file("view", {{"concat", binary_case([](auto& a, auto& b) {
                         return concat({a, b}, 1);
                       })},
                      {"slice", unary_case([](auto& x) { return x.slice(1, 1, 3).slice(2, 0, 4, 2); })},
                      {"permute_reshape", unary_case([](auto& x) {
                         return x.permute({2, 0, 1}).reshape({4, 6});
                       })},
                      {"expand", unary_case([](auto& x) {
                         return x.expand({2, 3, 4});
                       })},
                      {"where", [](const Tensors& x, const Golden&) { return where(x[0], x[1], x[2]); }}});
}
