#include "weft/nn/conv_transpose2d.h"

#include <cmath>

#include "weft/autograd/ops/conv_transpose2d.h"
#include "weft/nn/init.h"

namespace weft::nn {

ConvTranspose2d::ConvTranspose2d(int64_t in, int64_t out, ConvTranspose2dOptions options) : options_(options) {
  const int64_t groups = options.groups;
  WEFT_CHECK(ShapeError, in > 0 && out > 0 && groups > 0 && in % groups == 0 && out % groups == 0,
             "ConvTranspose2d: ", in, " to ", out, " channels in ", groups, " groups; groups must divide both");
  const Shape shape{in, out / groups, options.kernel.h, options.kernel.w};
  const double bound = 1 / std::sqrt(init::fans_of(shape).in);
  weight = Parameter(init::uniform(shape, -bound, bound).contiguous(Layout::channels_last));
  if (options.bias) bias = Parameter(init::uniform({out}, -bound, bound));
}

Tensor ConvTranspose2d::forward(const Tensor& x) const {
  return conv_transpose2d(x, weight.on(x.device()),
                          {.stride = options_.stride,
                           .padding = options_.padding,
                           .output_padding = options_.output_padding,
                           .dilation = options_.dilation,
                           .groups = options_.groups,
                           .bias = bias.defined() ? bias.on(x.device()) : Tensor()});
}

std::string ConvTranspose2d::describe() const {
  const Shape& w = weight.shape();
  std::string text =
      weft::detail::concat("ConvTranspose2d(", w[0], " -> ", w[1] * options_.groups, ", kernel ", w[2], "x", w[3]);
  if (options_.stride.h != 1 || options_.stride.w != 1)
    text += weft::detail::concat(", stride ", options_.stride.h, "x", options_.stride.w);
  if (options_.groups != 1) text += weft::detail::concat(", groups ", options_.groups);
  return text + (bias.defined() ? ")" : ", no bias)");
}

}  // namespace weft::nn
