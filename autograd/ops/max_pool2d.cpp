// y = x[i],   i the place of each window's maximum;   dx = S dy, S scattering to the places i
// S and the gather G are each other's transpose: the gradient of S dy is G g, that of G x is S g
#include "weft/autograd/ops/max_pool2d.h"

#include "weft/autograd/record.h"

namespace weft {

Tensor max_pool2d(const Tensor& x, const MaxPool2dOptions& options) {
  using namespace autograd;
  auto [y, index] = ops::max_pool2d(x, options);
  if (!tracked(x)) return y;
  const Pair size{x.shape()[2], x.shape()[3]};
  return record("max_pool2d", y, edge(x, [index = saved(index), size, options](const Tensor& dy) {
                  return max_pool2d_backward(dy, index, size, options);
                }));
}

Tensor autograd::max_pool2d_backward(const Tensor& dy, const Tensor& index, Pair size,
                                     const MaxPool2dOptions& options) {
  Tensor dx = ops::max_pool2d_backward(dy, index, size, options);
  if (!tracked(dy)) return dx;
  return record("max_pool2d_backward", dx, edge(dy, [index = saved(index), options](const Tensor& g) {
                  return max_pool2d_gather(g, index, options);
                }));
}

Tensor autograd::max_pool2d_gather(const Tensor& x, const Tensor& index, const MaxPool2dOptions& options) {
  Tensor y = ops::max_pool2d_gather(x, index, options);
  if (!tracked(x)) return y;
  const Pair size{x.shape()[2], x.shape()[3]};
  return record("max_pool2d_gather", y, edge(x, [index = saved(index), size, options](const Tensor& dy) {
                  return max_pool2d_backward(dy, index, size, options);
                }));
}

}  // namespace weft
