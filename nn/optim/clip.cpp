#include "weft/nn/optim/clip.h"

#include <cmath>
#include <map>
#include <vector>

#include "weft/autograd/node.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/foreach.h"
#include "weft/tensor/ops/unary.h"

namespace weft::nn::optim {

namespace {

// The gradients that are there, by device: of all copies, or of the first one.
std::map<Device, Tensors> gradients_of(std::span<const Parameter> parameters, bool all_copies) {
  std::map<Device, Tensors> gradients;
  for (const Parameter& p : parameters)
    for (int i = 0; i < (all_copies ? p.places() : 1); ++i)
      if (const Tensor g = p.grad_at(i); g.defined()) gradients[g.device()].push_back(g.detach());
  return gradients;
}

// Changes the gradients of all copies. What failed on one device may be done on others, and copies must not differ:
// then no gradient is left.
template <class F>
void change_all(std::span<const Parameter> parameters, F f) {
  const autograd::NoGrad pause;
  const std::map<Device, Tensors> gradients = gradients_of(parameters, true);
  try {
    for (const auto& [device, list] : gradients) f(list);
  } catch (...) {
    for (const Parameter& p : parameters)
      for (int i = 0; i < p.places(); ++i) {
        autograd::Leaf* leaf = autograd::leaf_of(p.at(i));
        if (!leaf || !leaf->grad().defined()) continue;
        leaf->set_grad(Tensor());
        leaf->set_stale(true);
      }
    throw;
  }
}

}  // namespace

double grad_norm(std::span<const Parameter> parameters) {
  const autograd::NoGrad pause;
  double sum = 0;
  for (const auto& [device, list] : gradients_of(parameters, false))
    sum += ops::foreach_squared_norm(list).item<double>();
  return std::sqrt(sum);
}

double clip_grad_norm(std::span<const Parameter> parameters, double max_norm, bool must_be_finite) {
  WEFT_CHECK(Error, max_norm > 0, "clip_grad_norm: max_norm is ", max_norm, "; it must be positive");
  const double norm = grad_norm(parameters);
  WEFT_CHECK(Error, !must_be_finite || std::isfinite(norm), "clip_grad_norm: the norm of the gradients is ", norm,
             "; skip this step or lower the learning rate");
  const double factor = max_norm / (norm + 1e-6);
  if (factor >= 1 || !std::isfinite(norm)) return norm;
  change_all(parameters, [factor](const Tensors& list) { ops::foreach_scale_(list, factor); });
  return norm;
}

void clip_grad_value(std::span<const Parameter> parameters, double limit) {
  WEFT_CHECK(Error, limit > 0, "clip_grad_value: the limit is ", limit, "; it must be positive");
  change_all(parameters, [limit](const Tensors& list) {
    for (const Tensor& g : list) ops::copy_(g, ops::unary(UnaryOp::clamp, g, -limit, limit));
  });
}

}  // namespace weft::nn::optim
