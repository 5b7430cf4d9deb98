#include "weft/nn/conv1d.h"

#include <cmath>

#include "weft/autograd/ops/conv1d.h"
#include "weft/nn/init.h"

namespace weft::nn {

Conv1d::Conv1d(int64_t in, int64_t out, Conv1dOptions options) : options_(options) {
  const int64_t groups = options.groups;
  WEFT_CHECK(ShapeError, in > 0 && out > 0 && groups > 0 && in % groups == 0 && out % groups == 0, "Conv1d: ", in,
             " to ", out, " channels in ", groups, " groups; groups must divide both");
  const Shape shape{out, in / groups, options.kernel};
  const double bound = 1 / std::sqrt(init::fans_of(shape).in);
  weight = Parameter(init::uniform(shape, -bound, bound));
  if (options.bias) bias = Parameter(init::uniform({out}, -bound, bound));
}

Tensor Conv1d::forward(const Tensor& x) const {
  return conv1d(x, weight.on(x.device()),
                {.stride = options_.stride,
                 .padding = options_.padding,
                 .dilation = options_.dilation,
                 .groups = options_.groups,
                 .bias = bias.defined() ? bias.on(x.device()) : Tensor(),
                 .relu = options_.relu});
}

std::string Conv1d::describe() const {
  const Shape& w = weight.shape();
  std::string text = weft::detail::concat("Conv1d(", w[1] * options_.groups, " -> ", w[0], ", kernel ", w[2]);
  if (options_.stride != 1) text += weft::detail::concat(", stride ", options_.stride);
  if (options_.dilation != 1) text += weft::detail::concat(", dilation ", options_.dilation);
  if (options_.groups != 1) text += weft::detail::concat(", groups ", options_.groups);
  return text + (bias.defined() ? "" : ", no bias") + (options_.relu ? ", relu)" : ")");
}

}  // namespace weft::nn
