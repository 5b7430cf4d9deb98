#include "weft/nn/optim/clip.h"

#include <cmath>
#include <map>
#include <vector>

#include "weft/autograd/record_scope.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/concat.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/reduce.h"
#include "weft/tensor/ops/unary.h"
#include "weft/tensor/ops/view.h"

namespace weft::nn::optim {

namespace {

// Every gradient that is there, once per copy.
template <class F>
void for_each_gradient(std::span<const Parameter> parameters, const F& f) {
  for (const Parameter& p : parameters)
    for (int i = 0; i < p.places(); ++i)
      if (const Tensor g = p.grad_at(i); g.defined()) f(g.detach());
}

}  // namespace

double grad_norm(std::span<const Parameter> parameters) {
  const autograd::NoGrad pause;
  std::map<Device, Tensors> squares;  // one wait per device
  for (const Parameter& p : parameters)
    if (const Tensor g = p.grad_at(0); g.defined())
      squares[g.device()].push_back(ops::reshape(ops::sum(ops::square(ops::cast(g.detach(), DType::f64))), {1}));
  double sum = 0;
  for (const auto& [device, list] : squares) sum += ops::sum(ops::concat(list, 0)).item<double>();
  return std::sqrt(sum);
}

double clip_grad_norm(std::span<const Parameter> parameters, double max_norm) {
  WEFT_CHECK(Error, max_norm > 0, "clip_grad_norm: max_norm is ", max_norm, "; it must be positive");
  const double norm = grad_norm(parameters);
  WEFT_CHECK(Error, std::isfinite(norm), "clip_grad_norm: the norm of the gradients is ", norm,
             "; skip this step or lower the learning rate");
  const double factor = max_norm / (norm + 1e-6);
  if (factor >= 1) return norm;
  const autograd::NoGrad pause;
  for_each_gradient(parameters, [factor](const Tensor& g) { ops::mul_(g, factor); });
  return norm;
}

void clip_grad_value(std::span<const Parameter> parameters, double limit) {
  WEFT_CHECK(Error, limit > 0, "clip_grad_value: the limit is ", limit, "; it must be positive");
  const autograd::NoGrad pause;
  for_each_gradient(parameters,
                    [limit](const Tensor& g) { ops::copy_(g, ops::unary(UnaryOp::clamp, g, -limit, limit)); });
}

}  // namespace weft::nn::optim
