// Against PyTorch: cases/softmax.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/cross_entropy.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: cross entropy") {
  auto loss = [](LossReduction reduction) {
    return [reduction](const Tensors& x, const Golden& golden) {
      return cross_entropy(
          x[0], x[1], {.weights = golden.has("weights") ? golden.tensor("weights") : Tensor(), .reduction = reduction});
    };
  };
  const Function plain = loss(LossReduction::mean);
  check_file("cross_entropy", {{"plain", plain},
                               {"ignore", plain},
                               {"weights_mean", plain},
                               {"weights_sum", loss(LossReduction::sum)},
                               {"weights_none", loss(LossReduction::none)},
                               {"confident", plain},
                               {"all_but_one_ignored", plain}});
}
