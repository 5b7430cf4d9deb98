// Against PyTorch: cases/reduce.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/reduce.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: reductions") {
  auto indexed = [](int64_t axis, bool keep) {
    return [=](const Tensors& x, const Golden& golden) {
      golden.compare("index", argmax(x[0], axis, keep), 0);
      return max(x[0], {.axes = {axis}, .keep = keep});
    };
  };
  check_file("reduce", {{"sum_all", unary_case([](auto& x) { return sum(x); })},
                        {"sum_axes", unary_case([](auto& x) {
                           return sum(x, {.axes = {0, 2}});
                         })},
                        {"sum_keep", unary_case([](auto& x) { return sum(x, {.axes = {1}, .keep = true}); })},
                        {"mean_all", unary_case([](auto& x) { return mean(x); })},
                        {"mean_axes", unary_case([](auto& x) {
                           return mean(x, {.axes = {-1, 1}});
                         })},
                        {"max_axis", indexed(1, false)},
                        {"max_last", indexed(2, true)},
                        {"max_all", [](const Tensors& x, const Golden& golden) {
                           golden.compare("index", argmax(x[0].flatten(), 0), 0);
                           return max(x[0]);
                         }}});
}
