// Against PyTorch: cases/batch_norm.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/batch_norm.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: batch norm") {
  auto norm = [](BatchNormOptions options) {
    return [options](const Tensors& x, const Golden& golden) {
      const Tensor mean = golden.tensor("mean"), var = golden.tensor("var");
      const Tensor y = batch_norm(x[0], x[1], x[2], mean, var, options);
      golden.compare("new_mean", mean);
      golden.compare("new_var", var);
      return y;
    };
  };
  check_file("batch_norm", {{"train", norm({.training = true})},
                            {"eval", norm({})},
                            {"train_relu", norm({.training = true, .relu = true})},
                            {"vectors", norm({.eps = 1e-3, .momentum = 0.3, .training = true})}});
}
