#include "weft/nn/linear.h"

#include <cmath>

#include "weft/autograd/ops/linear.h"
#include "weft/nn/init.h"

namespace weft::nn {

Linear::Linear(int64_t in, int64_t out, LinearOptions options) {
  WEFT_CHECK(ShapeError, in > 0 && out > 0, "Linear: ", in, " inputs and ", out, " outputs; both must be positive");
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  weight = Parameter(init::uniform({out, in}, -bound, bound));
  if (options.bias) bias = Parameter(init::uniform({out}, -bound, bound));
}

Tensor Linear::forward(const Tensor& x) const {
  return linear(x, weight.on(x.device()), bias.defined() ? bias.on(x.device()) : Tensor());
}

std::string Linear::describe() const {
  return weft::detail::concat("Linear(", weight.shape()[1], " -> ", weight.shape()[0],
                              bias.defined() ? "" : ", no bias", ")");
}

}  // namespace weft::nn
