// y[n, o, j] = bias[o] + sum_{c, q} x[n, c, j stride + q dilation - padding] w[o, c, q], as conv2d with one row
#include "weft/autograd/ops/conv1d.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/conv2d.h"

namespace weft {

Tensor conv1d(const Tensor& lines, const Tensor& filter, const Conv1dOptions& options) {
  const Tensor x = autograd::for_product(lines), w = autograd::for_product(filter);
  WEFT_CHECK(ShapeError, x.rank() == 3 && w.rank() == 3, "conv1d: lines of shape ", x.shape(), " and filter ",
             w.shape(), " must be [N, C, L] and [O, C/groups, k]");
  const Tensor y = conv2d(x.unsqueeze(2), w.unsqueeze(2),
                          {.stride = {1, options.stride},
                           .padding = Pair(0, options.padding),
                           .dilation = {1, options.dilation},
                           .groups = options.groups,
                           .bias = options.bias,
                           .relu = options.relu});  // [N, O, 1, L']
  return y.squeeze(2);
}

}  // namespace weft
