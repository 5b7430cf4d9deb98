// Against PyTorch: cases/group_norm.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/group_norm.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: layer, group and instance norm") {
  using X = const Tensors&;
  check_file("group_norm", {{"groups", [](X x, const Golden&) { return group_norm(x[0], 3, x[1], x[2]); }},
                            {"instances", [](X x, const Golden&) { return instance_norm(x[0], x[1], x[2]); }},
                            {"layers", [](X x, const Golden&) { return layer_norm(x[0], {6}, x[1], x[2]); }},
                            {"layers_of_two", [](X x, const Golden&) {
                               return layer_norm(x[0], {3, 6}, x[1], {}, 1e-3);
                             }}});
}
