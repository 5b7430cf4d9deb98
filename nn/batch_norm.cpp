#include "weft/nn/batch_norm.h"

#include "weft/autograd/ops/batch_norm.h"
#include "weft/nn/sync_batch_norm.h"
#include "weft/tensor/group.h"

namespace weft::nn {

BatchNorm2d::BatchNorm2d(int64_t channels, const BatchNormOptions& options) : options_(options) {
  WEFT_CHECK(ShapeError, channels > 0, "BatchNorm2d: ", channels, " channels");
  const TensorOptions host{.device = Device()};
  if (options.affine) {
    weight = Parameter(ones({channels}, host));
    bias = Parameter(zeros({channels}, host));
  }
  running_mean = Buffer(zeros({channels}, host));
  running_var = Buffer(ones({channels}, host));
}

Tensor BatchNorm2d::forward(const Tensor& x) const {
  const Device device = x.device();
  const Tensor gamma = weight.defined() ? weight.on(device) : Tensor();
  const Tensor beta = bias.defined() ? bias.on(device) : Tensor();
  if (options_.sync && training() && current_rank().group)
    return sync_batch_norm(x, gamma, beta, running_mean.on(device), running_var.on(device),
                           {.eps = options_.eps, .momentum = options_.momentum, .training = true, .relu = options_.relu});
  return batch_norm(x, gamma, beta, running_mean.on(device), running_var.on(device),
                    {.eps = options_.eps, .momentum = options_.momentum, .training = training(), .relu = options_.relu});
}

std::string BatchNorm2d::describe() const {
  return weft::detail::concat("BatchNorm2d(", running_mean.shape()[0], options_.relu ? ", relu" : "",
                              options_.sync ? ", sync" : "", ")");
}

}  // namespace weft::nn
