#include "weft/nn/optim/optimizer.h"

#include <cmath>

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/optimizer_update.h"
#include "weft/tensor/ops/work.h"

namespace weft::nn::optim {

namespace {

void check_range(const char* optimizer, const char* name, double value, bool ok) {
  WEFT_CHECK(Error, ok, optimizer, ": ", name, " is ", value);
}

// The kernel's list for updates of one dtype on one device.
std::vector<UpdateItem> items_of(std::span<const Update> updates, double lr, double decay) {
  std::vector<UpdateItem> items;
  for (const Update& u : updates) {
    if (u.value.numel() == 0) continue;
    const auto state = [&u](size_t k) { return k < u.state.size() ? u.state[k].raw() : nullptr; };
    items.push_back({u.value.numel(), u.value.raw(), u.gradient.raw(), state(0), state(1), state(2), lr * u.lr_mult,
                     u.weight_decay.value_or(decay) * u.wd_mult});
  }
  return items;
}

// The gradient is read, the value and the states are read and written.
int64_t bytes_of(const std::vector<UpdateItem>& items, DType dtype) {
  int64_t bytes = 0;
  for (const UpdateItem& item : items) {
    const int64_t states = (item.first ? 1 : 0) + (item.second ? 1 : 0) + (item.third ? 1 : 0);
    bytes += item.numel * size_of(dtype) * (3 + 2 * states);
  }
  return bytes;
}

const double* pointer_of(const Tensor& gate) { return gate.defined() ? gate.data<double>() : nullptr; }

// Calls launch(dtype, items, stream) once per dtype.
template <class Launch>
void by_dtype(std::span<const Update> updates, double lr, double decay, const Launch& launch) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    std::vector<Update> some;
    for (const Update& u : updates)
      if (u.value.dtype() == dtype) some.push_back(u);
    std::vector<UpdateItem> items = items_of(some, lr, decay);
    if (!items.empty()) launch(dtype, items, current_stream(some[0].value.device()));
    for (const Update& u : some) u.value.storage().bump_version("step");
  }
}

}  // namespace

Tensor dense_gradient(const Tensor& gradient, const Tensor& value) {
  return ops::with_strides_of(ops::cast(gradient, value.dtype()), value);
}

std::vector<Tensor> Optimizer::make_state(const Tensor& value) const {
  WEFT_CHECK(DtypeError, value.dtype() == DType::f32 || value.dtype() == DType::f64, "optimizer: a parameter of dtype ",
             value.dtype(),
             " cannot be updated; keep parameters in float32 or float64, and compute in 16 bits by autograd::Autocast");
  std::vector<Tensor> state;
  for (size_t i = 0; i < state_names().size(); ++i) state.push_back(zeros_like(value.detach()));
  return state;
}

SGD::SGD(const SGDOptions& options)
    : Optimizer(options.lr, options.weight_decay), momentum_(options.momentum), nesterov_(options.nesterov) {
  check_range("SGD", "lr", options.lr, options.lr >= 0);
  check_range("SGD", "momentum", options.momentum, options.momentum >= 0);
  check_range("SGD", "weight_decay", options.weight_decay, options.weight_decay >= 0);
  WEFT_CHECK(Error, !nesterov_ || momentum_ > 0, "SGD: nesterov needs a momentum above 0");
}

std::vector<std::string> SGD::state_names() const {
  return momentum_ > 0 ? std::vector<std::string>{"momentum"} : std::vector<std::string>{};
}

void SGD::apply(std::span<const Update> updates, int64_t, double scale, const Tensor& gate) const {
  by_dtype(updates, lr_, weight_decay_, [&](DType dtype, const std::vector<UpdateItem>& items, Stream stream) {
    ops::profile_bytes(sgd_update_kernel, [&] { return bytes_of(items, dtype); });
    sgd_update_kernel(
        {dtype, static_cast<int64_t>(items.size()), items.data(), momentum_, nesterov_, scale, pointer_of(gate)},
        stream);
  });
}

Adam::Adam(const AdamOptions& options, bool decoupled)
    : Optimizer(options.lr, options.weight_decay),
      beta1_(options.beta1),
      beta2_(options.beta2),
      eps_(options.eps),
      decoupled_(decoupled) {
  const char* name = decoupled ? "AdamW" : "Adam";
  check_range(name, "lr", options.lr, options.lr >= 0);
  check_range(name, "beta1", beta1_, beta1_ >= 0 && beta1_ < 1);
  check_range(name, "beta2", beta2_, beta2_ >= 0 && beta2_ < 1);
  check_range(name, "eps", eps_, eps_ >= 0);
  check_range(name, "weight_decay", options.weight_decay, options.weight_decay >= 0);
}

void Adam::apply(std::span<const Update> updates, int64_t step, double scale, const Tensor& gate) const {
  const double c1 = 1 - std::pow(beta1_, static_cast<double>(step)),
               c2 = 1 - std::pow(beta2_, static_cast<double>(step));
  by_dtype(updates, lr_, weight_decay_, [&](DType dtype, const std::vector<UpdateItem>& items, Stream stream) {
    ops::profile_bytes(adam_update_kernel, [&] { return bytes_of(items, dtype); });
    adam_update_kernel({dtype, static_cast<int64_t>(items.size()), items.data(), beta1_, beta2_, eps_, c1, c2,
                        decoupled_, scale, pointer_of(gate)},
                       stream);
  });
}

RMSprop::RMSprop(const RMSpropOptions& options) : Optimizer(options.lr, options.weight_decay), options_(options) {
  check_range("RMSprop", "lr", options.lr, options.lr >= 0);
  check_range("RMSprop", "alpha", options.alpha, options.alpha >= 0 && options.alpha < 1);
  check_range("RMSprop", "eps", options.eps, options.eps >= 0);
  check_range("RMSprop", "weight_decay", options.weight_decay, options.weight_decay >= 0);
  check_range("RMSprop", "momentum", options.momentum, options.momentum >= 0);
}

std::vector<std::string> RMSprop::state_names() const {
  std::vector<std::string> names{"square"};
  if (options_.centered) names.push_back("mean");
  if (options_.momentum > 0) names.push_back("momentum");
  return names;
}

void RMSprop::apply(std::span<const Update> updates, int64_t, double scale, const Tensor& gate) const {
  by_dtype(updates, lr_, weight_decay_, [&](DType dtype, std::vector<UpdateItem>& items, Stream stream) {
    if (!options_.centered)  // the only further state, if any, is the momentum
      for (UpdateItem& item : items) std::swap(item.second, item.third);
    ops::profile_bytes(rmsprop_update_kernel, [&] { return bytes_of(items, dtype); });
    rmsprop_update_kernel({dtype, static_cast<int64_t>(items.size()), items.data(), options_.alpha, options_.eps,
                           options_.momentum, scale, pointer_of(gate)},
                          stream);
  });
}

std::vector<ParameterGroup> no_decay_for_vectors(const std::vector<Parameter>& parameters) {
  std::vector<ParameterGroup> groups(2);
  groups[1].wd_mult = 0;
  for (const Parameter& p : parameters) groups[p.shape().rank() > 1 ? 0 : 1].parameters.push_back(p);
  return groups;
}

}  // namespace weft::nn::optim
