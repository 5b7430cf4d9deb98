// Steps from gradients of scaled losses. Every device looks at its own copy of the gradients' sums; all copies hold the
// same bits, so all come to one verdict without asking each other.
#include <map>

#include "weft/autograd/record_scope.h"
#include "weft/nn/optim/grad_scaler.h"
#include "weft/parallel/trainer_slot.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/loss_scale.h"
#include "weft/tensor/ops/view.h"

namespace weft::parallel {

namespace {

// A number that grows with every gradient that is stored.
template <class Slots>
uint64_t writes_of(const Slots& slots) {
  uint64_t writes = 0;
  for (const auto* slot : slots)
    for (int i = 0; i < slot->parameter.places(); ++i) writes += slot->leaf(i)->writes();
  return writes;
}

}  // namespace

Tensor Trainer::gate_of(const Tensors& gradients, const nn::optim::GradScaler& scaler) const {
  const Device device = gradients[0].device();
  const DeviceGuard there(device);
  Tensor skipped = on(skipped_, device);
  if (!skipped.defined())
    skipped =
        skipped_.empty() ? zeros({}, {.dtype = DType::f64, .device = device}) : ops::to(skipped_[0].second, device);
  return ops::update_gate(gradients, scaler.state_on(device), skipped, steps_ + 1);
}

Trainer::Gates Trainer::gates_of(const Updates& updates, const std::vector<Slot*>& fresh,
                                 nn::optim::GradScaler* scaler) const {
  WEFT_CHECK(Error, scaler || unscaled_.empty(), "step: unscale_grads() divided the gradients; give step() the scaler");
  if (!scaler) return {};
  scaler->check_first_step(this);
  WEFT_CHECK(AutogradError, unscaled_.empty() || writes_of(fresh) == unscaled_writes_,
             "step: gradients changed since unscale_grads(); call it again after the last backward pass");
  if (!unscaled_.empty()) return unscaled_;
  Gates gates;
  for (const auto& place : updates) {
    Tensors gradients;
    for (const nn::optim::Update& update : place) gradients.push_back(update.gradient);
    if (!gradients.empty()) gates.emplace_back(gradients[0].device(), gate_of(gradients, *scaler));
  }
  return gates;
}

void Trainer::finish_gates(const Gates& gates, nn::optim::GradScaler* scaler) {
  unscaled_.clear();
  if (gates.empty()) return;
  skipped_.clear();
  for (const auto& [device, gate] : gates) skipped_.emplace_back(device, ops::select(gate, 0, gate_skipped));
  scaler->note(this, gates[0].second);
}

void Trainer::unscale_grads(nn::optim::GradScaler& scaler) {
  allreduce_grads();
  if (!scaler.enabled()) return;
  const autograd::NoGrad pause;
  scaler.check_first_step(this);
  WEFT_CHECK(Error, unscaled_.empty(), "unscale_grads: the gradients are divided by the scale already");
  const std::vector<Slot*> fresh = fresh_slots();
  std::map<Device, Tensors> gradients;
  for (const Slot* slot : fresh)
    for (int i = 0; i < slot->parameter.places(); ++i)
      if (slot->fresh(i)) gradients[slot->devices[static_cast<size_t>(i)]].push_back(slot->leaf(i)->grad().detach());
  Gates gates;
  for (const auto& [device, list] : gradients) gates.emplace_back(device, gate_of(list, scaler));
  try {
    for (const auto& [device, list] : gradients) {
      const DeviceGuard there(device);
      ops::unscale_(list, on(gates, device));
    }
  } catch (...) {
    for (const Slot* slot : fresh) slot->drop_gradients();  // another call would divide some again
    throw;
  }
  unscaled_writes_ = writes_of(fresh);
  unscaled_ = std::move(gates);
}

void Trainer::update(double n, nn::optim::GradScaler& scaler) { update(n, scaler.enabled() ? &scaler : nullptr); }

void Trainer::step(double n, nn::optim::GradScaler& scaler) { step(n, scaler.enabled() ? &scaler : nullptr); }

}  // namespace weft::parallel
