#include "weft/nn/conv2d.h"

#include <cmath>

#include "weft/autograd/ops/conv2d.h"
#include "weft/nn/init.h"

namespace weft::nn {

Conv2d::Conv2d(int64_t in, int64_t out, const Conv2dOptions& options) : options_(options) {
  WEFT_CHECK(ShapeError,
             in > 0 && out > 0 && options.groups > 0 && in % options.groups == 0 && out % options.groups == 0,
             "Conv2d: ", in, " to ", out, " channels in ", options.groups, " groups; groups must divide both");
  const Shape shape{out, in / options.groups, options.kernel.h, options.kernel.w};
  const double bound = 1 / std::sqrt(init::fans_of(shape).in);
  weight = Parameter(init::uniform(shape, -bound, bound).contiguous(Layout::channels_last));
  if (options.bias) bias = Parameter(init::uniform({out}, -bound, bound));
}

Tensor Conv2d::forward(const Tensor& x) const {
  return conv2d(x, weight.on(x.device()),
                {.stride = options_.stride,
                 .padding = options_.padding,
                 .dilation = options_.dilation,
                 .groups = options_.groups,
                 .bias = bias.defined() ? bias.on(x.device()) : Tensor(),
                 .relu = options_.relu});
}

std::string Conv2d::describe() const {
  const Shape& w = weight.shape();
  std::string text =
      weft::detail::concat("Conv2d(", w[1] * options_.groups, " -> ", w[0], ", kernel ", w[2], "x", w[3]);
  if (options_.stride.h != 1 || options_.stride.w != 1)
    text += weft::detail::concat(", stride ", options_.stride.h, "x", options_.stride.w);
  if (options_.dilation.h != 1 || options_.dilation.w != 1)
    text += weft::detail::concat(", dilation ", options_.dilation.h, "x", options_.dilation.w);
  if (options_.groups != 1) text += weft::detail::concat(", groups ", options_.groups);
  return text + (bias.defined() ? "" : ", no bias") + (options_.relu ? ", relu)" : ")");
}

}  // namespace weft::nn
