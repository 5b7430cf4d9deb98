// Against PyTorch: cases/batch_norm_add.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/batch_norm_add.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: batch norm with a residual") {
  check_file("batch_norm_add", {{"train_relu", [](const Tensors& x, const Golden&) {
                                   return batch_norm_add(x[0], x[1], x[2], x[3], {}, {},
                                                         {.training = true, .relu = true});
                                 }}});
}
