#include "weft/nn/batch_norm.h"

#include <algorithm>

#include "weft/autograd/ops/batch_norm_add.h"
#include "weft/nn/sync_batch_norm.h"
#include "weft/tensor/group.h"
#include "weft/tensor/ops/copy.h"

namespace weft::nn {

BatchNorm2d::BatchNorm2d(int64_t channels, BatchNormOptions options) : options_(options) {
  WEFT_CHECK(ShapeError, channels > 0, "BatchNorm2d: ", channels, " channels");
  const TensorOptions host{.device = Device()};
  if (options.affine) {
    weight = Parameter(ones({channels}, host));
    bias = Parameter(zeros({channels}, host));
  }
  running_mean = Buffer(zeros({channels}, host));
  running_var = Buffer(ones({channels}, host));
}

namespace {

// Copies that belong to no rank of the group (their share of the batch was empty) take over the values of the first
// rank's.
void update_idle_copies(const Buffer& buffer, const Group& group, const Tensor& updated) {
  std::vector<Device> seen;
  for (const Device device : buffer.devices()) {
    const auto replica = std::count(seen.begin(), seen.end(), device);
    const auto ranks = std::count(group.devices().begin(), group.devices().end(), device);
    if (replica >= ranks) ops::copy_(buffer.at(static_cast<int>(seen.size())), updated, {}, "batch_norm");
    seen.push_back(device);
  }
}

}  // namespace

Tensor BatchNorm2d::forward(const Tensor& x) const { return normalized(x, nullptr); }

Tensor BatchNorm2d::forward(const Tensor& x, const Tensor& residual) const { return normalized(x, &residual); }

Tensor BatchNorm2d::normalized(const Tensor& x, const Tensor* residual) const {
  const Device device = x.device();
  const Tensor gamma = weight.defined() ? weight.on(device) : Tensor();
  const Tensor beta = bias.defined() ? bias.on(device) : Tensor();
  const RankContext rank = current_rank();
  if (!training()) running_mean.settle();
  const Tensor mean = running_mean.on(device), var = running_var.on(device);
  const weft::BatchNormOptions options{
      .eps = options_.eps, .momentum = options_.momentum, .training = training(), .relu = options_.relu};
  if (options_.sync && training() && rank.group) {
    Tensor y = residual ? sync_batch_norm_add(x, *residual, gamma, beta, mean, var, options)
                        : sync_batch_norm(x, gamma, beta, mean, var, options);
    if (rank.rank == 0) {
      update_idle_copies(running_mean, *rank.group, mean);
      update_idle_copies(running_var, *rank.group, var);
    }
    return y;
  }
  Tensor y = residual ? batch_norm_add(x, *residual, gamma, beta, mean, var, options)
                      : batch_norm(x, gamma, beta, mean, var, options);
  if (training() && running_mean.places() > 1)
    Buffer::took_in(running_mean, running_var, device, static_cast<double>(x.numel() / x.size(1)));
  return y;
}

std::string BatchNorm2d::describe() const {
  return weft::detail::concat("BatchNorm2d(", running_mean.shape()[0], options_.relu ? ", relu" : "",
                              options_.sync ? ", sync" : "", ")");
}

}  // namespace weft::nn
