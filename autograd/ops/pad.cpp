// y = P x + c,   dx = PT dy: the gradient of PT dy is P g, without the constant
#include "weft/autograd/ops/pad.h"

#include "weft/autograd/record.h"

namespace weft {

namespace {

Tensor pad_images(const Tensor& x, const Padding& padding, const PadOptions& options) {
  using namespace autograd;
  Tensor y = ops::pad(x, padding, options);
  if (!tracked(x)) return y;
  const Pair size{x.shape()[2], x.shape()[3]};
  return record("pad", y, edge(x, [size, padding, mode = options.mode](const Tensor& dy) {
                  return pad_backward(dy, size, padding, mode);
                }));
}

}  // namespace

Tensor pad(const Tensor& x, const Padding& padding, const PadOptions& options) {
  switch (x.rank()) {
    case 2:
      return pad_images(x.unsqueeze(0).unsqueeze(0), padding, options).squeeze(0).squeeze(0);
    case 3: {
      const int64_t axis = options.values.empty() ? 1 : 0;  // [N, 1, H, W] or [1, C, H, W]
      return pad_images(x.unsqueeze(axis), padding, options).squeeze(axis);
    }
    case 4:
      return pad_images(x, padding, options);
    default:
      fail<ShapeError>("pad: a tensor of shape ", x.shape(), " is no image; give [H, W], [N, H, W] or [N, C, H, W]");
  }
}

Tensor autograd::pad_backward(const Tensor& dy, Pair size, const Padding& padding, PadMode mode) {
  Tensor dx = ops::pad_backward(dy, size, padding, mode);
  if (!tracked(dy)) return dx;
  return record("pad_backward", dx,
                edge(dy, [padding, mode](const Tensor& g) { return pad_images(g, padding, {.mode = mode}); }));
}

}  // namespace weft
