// y = R x,   dx = RT dy: linear, so the gradient of either is the other
#include "weft/autograd/ops/resize.h"

#include <cmath>

#include "weft/autograd/record.h"
#include "weft/tensor/ops/geometry.h"

namespace weft {

Tensor resize(const Tensor& x, Pair size, const ResizeOptions& options) {
  using namespace autograd;
  Tensor y = ops::resize(x, size, options);
  if (!tracked(x)) return y;
  const Pair from{x.shape()[2], x.shape()[3]};
  return record("resize", y, edge(x, [from, options](const Tensor& dy) { return resize_backward(dy, from, options); }));
}

Tensor resize_by(const Tensor& x, ResizeScale scale, ResizeOptions options) {
  ops::check_rank("resize_by", x, 4, "[N, C, H, W]");
  const auto usable = [](double s) { return s > 0 && s < 1e6; };
  WEFT_CHECK(Error, usable(scale.h) && usable(scale.w), "resize_by: scales ", scale.h, " and ", scale.w,
             " must be positive and below 1e6");
  options.scale_h = scale.h;
  options.scale_w = scale.w;
  const auto scaled = [](int64_t in, double by) {
    return static_cast<int64_t>(std::floor(static_cast<double>(in) * by));
  };
  return resize(x, {scaled(x.shape()[2], scale.h), scaled(x.shape()[3], scale.w)}, options);
}

Tensor autograd::resize_backward(const Tensor& dy, Pair size, const ResizeOptions& options) {
  Tensor dx = ops::resize_backward(dy, size, options);
  if (!tracked(dy)) return dx;
  const Pair to{dy.shape()[2], dy.shape()[3]};
  return record("resize_backward", dx, edge(dy, [to, options](const Tensor& g) { return resize(g, to, options); }));
}

}  // namespace weft
