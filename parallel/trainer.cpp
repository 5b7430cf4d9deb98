#include "weft/parallel/trainer.h"

#include <map>

#include "weft/autograd/node.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/reduce.h"

namespace weft::parallel {

namespace {

constexpr int64_t first_bucket_bytes = int64_t{1} << 20;

// The elements of a dense tensor in memory order.
Tensor flat(const Tensor& x) { return ops::view(x, {x.numel()}, {1}, x.impl().offset); }

}  // namespace

struct Trainer::Slot {
  nn::Parameter parameter;
  std::vector<Device> devices;
  std::vector<uint64_t> seen;     // writes of each copy's gradient when it was last used
  std::vector<uint64_t> reduced;  // the same when it was last summed
  std::vector<Tensors> states;    // of each copy

  autograd::Leaf* leaf(int place) const { return autograd::leaf_of(parameter.at(place)); }
  bool fresh(int place) const {
    const autograd::Leaf* l = leaf(place);
    return l && l->grad().defined() && l->writes() > seen[static_cast<size_t>(place)];
  }
  bool any_fresh() const {
    for (int i = 0; i < parameter.places(); ++i)
      if (fresh(i)) return true;
    return false;
  }
  bool all_reduced() const {
    for (int i = 0; i < parameter.places(); ++i)
      if (leaf(i)->writes() != reduced[static_cast<size_t>(i)]) return false;
    return true;
  }
};

Trainer::Trainer(std::vector<nn::Parameter> parameters, std::unique_ptr<nn::optim::Optimizer> optimizer,
                 const TrainerOptions& options)
    : optimizer_(std::move(optimizer)), options_(options) {
  for (nn::Parameter& p : parameters) {
    if (p.request() == GradReq::null) continue;
    const auto places = static_cast<size_t>(p.places());
    slots_.push_back({p, p.devices(), std::vector<uint64_t>(places), std::vector<uint64_t>(places), {}});
    WEFT_CHECK(DeviceError, slots_.back().devices == slots_.front().devices, "Trainer: parameter '",
               slots_.front().parameter.name(), "' is on ", slots_.front().devices.size(), " devices, '", p.name(),
               "' on ", places, " or others; place them alike with module.to(devices)");
  }
  WEFT_CHECK(Error, !slots_.empty(), "Trainer: no parameters that take gradients");
  place_states();
}

Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

double Trainer::learning_rate() const { return optimizer_->learning_rate(); }
void Trainer::set_learning_rate(double lr) { optimizer_->set_learning_rate(lr); }
int64_t Trainer::steps() const { return steps_; }

// States where the parameters are: made at first, moved after module.to() placed the parameters elsewhere.
void Trainer::place_states() {
  for (Slot& slot : slots_) {
    const std::vector<Device> devices = slot.parameter.devices();
    if (!slot.states.empty() && devices == slot.devices) continue;
    std::vector<Tensors> states;
    for (int i = 0; i < slot.parameter.places(); ++i) {
      Tensors state = optimizer_->make_state(slot.parameter.at(i));
      for (size_t k = 0; k < state.size() && !slot.states.empty(); ++k) ops::copy(state[k], slot.states[0][k]);
      states.push_back(std::move(state));
    }
    slot.states = std::move(states);
    if (devices == slot.devices) continue;
    slot.devices = devices;
    slot.seen.assign(devices.size(), 0);
    slot.reduced.assign(devices.size(), 0);
  }
}

std::vector<Trainer::Slot*> Trainer::fresh_slots() {
  WEFT_CHECK(Error, !broken_, "step: copies of the parameters differ since an update failed; load a state first");
  place_states();
  std::vector<Slot*> fresh;
  for (Slot& slot : slots_) {
    for (int i = 0; i < slot.parameter.places(); ++i)
      WEFT_CHECK(AutogradError, !slot.leaf(i)->stale(), "step: the gradient of '", slot.parameter.name(), "' on ",
                 slot.devices[static_cast<size_t>(i)],
                 " is stale: a backward pass failed; run one that succeeds first");
    if (slot.any_fresh()) {
      fresh.push_back(&slot);
    } else {
      WEFT_CHECK(AutogradError, options_.ignore_stale_grad, "step: no fresh gradient for '", slot.parameter.name(),
                 "' on any device; run backward() on a loss that depends on it, or set ignore_stale_grad");
    }
  }
  return fresh;
}

// The summed gradients of a bucket's parameters, per place: through one flat tensor per place.
std::vector<Tensors> Trainer::reduce_bucket(const std::vector<Slot*>& bucket) const {
  const int places = bucket[0]->parameter.places();
  int64_t total = 0;
  for (const Slot* slot : bucket) total += slot->parameter.numel();
  Tensors flats;
  for (int i = 0; i < places; ++i) {
    Tensor all =
        empty({total}, {.dtype = bucket[0]->parameter.dtype(), .device = bucket[0]->devices[static_cast<size_t>(i)]});
    int64_t start = 0;
    for (const Slot* slot : bucket) {
      const Tensor& value = slot->parameter.at(i);
      const Tensor part = ops::view(all, {value.numel()}, {1}, start);
      if (slot->fresh(i))
        ops::copy(part, flat(nn::optim::dense_gradient(slot->leaf(i)->grad().detach(), value)));
      else
        ops::fill(part, 0);
      start += value.numel();
    }
    flats.push_back(all);
  }
  const Tensors sums = ops::all_reduce(flats, bucket[0]->parameter.order());
  std::vector<Tensors> gradients(static_cast<size_t>(places));
  for (int i = 0; i < places; ++i) {
    int64_t start = 0;
    for (const Slot* slot : bucket) {
      const Tensor& value = slot->parameter.at(i);
      gradients[static_cast<size_t>(i)].push_back(
          ops::view(sums[static_cast<size_t>(i)], value.shape(), value.strides(), start));
      start += value.numel();
    }
  }
  return gradients;
}

void Trainer::allreduce_grads() {
  const autograd::NoGrad pause;
  std::vector<std::vector<Slot*>> buckets;
  std::vector<Slot*> fresh = fresh_slots();
  int64_t bytes = 0;
  for (auto slot = fresh.rbegin(); slot != fresh.rend();
       ++slot) {  // reverse order of registration: as backward makes them
    if ((*slot)->parameter.places() == 1 || (*slot)->all_reduced()) continue;
    const nn::Parameter& p = (*slot)->parameter;
    const int64_t size = p.numel() * size_of(p.dtype());
    const int64_t limit =
        buckets.size() <= 1 ? std::min(first_bucket_bytes, options_.bucket_bytes) : options_.bucket_bytes;
    if (buckets.empty() || bytes + size > limit || buckets.back()[0]->parameter.dtype() != p.dtype()) {
      buckets.emplace_back();
      bytes = 0;
    }
    buckets.back().push_back(*slot);
    bytes += size;
  }
  std::vector<std::vector<Tensors>> reduced;
  for (const auto& bucket : buckets) reduced.push_back(reduce_bucket(bucket));
  for (size_t b = 0; b < buckets.size(); ++b)
    for (size_t k = 0; k < buckets[b].size(); ++k)
      for (int i = 0; i < buckets[b][k]->parameter.places(); ++i) {
        Slot& slot = *buckets[b][k];
        slot.leaf(i)->set_grad(std::move(reduced[b][static_cast<size_t>(i)][k]));
        slot.reduced[static_cast<size_t>(i)] = slot.leaf(i)->writes();
      }
}

void Trainer::check_finite(const std::vector<Slot*>& fresh) const {
  for (const Slot* slot : fresh)
    for (int i = 0; i < slot->parameter.places(); ++i) {
      if (!slot->fresh(i)) continue;
      const Tensor g = slot->leaf(i)->grad().detach();
      const Tensor difference = ops::sub(g, g);  // NaN where g is NaN or infinite
      const auto bad = ops::sum(ops::not_equal(difference, difference)).item<int64_t>();
      WEFT_CHECK(Error, bad == 0, "step: gradient of '", slot->parameter.name(), "' holds ", bad,
                 " values that are NaN or infinite (first on ", slot->devices[static_cast<size_t>(i)],
                 "); parameters unchanged");
    }
}

void Trainer::update(double n) {
  WEFT_CHECK(Error, n > 0, "step: divided by ", n, "; n must be positive");
  const autograd::NoGrad pause;
  const std::vector<Slot*> fresh = fresh_slots();
  if (options_.check_finite) check_finite(fresh);
  std::vector<std::vector<nn::optim::Update>> updates(slots_[0].devices.size());
  for (Slot* slot : fresh)
    for (int i = 0; i < slot->parameter.places(); ++i) {
      const auto place = static_cast<size_t>(i);
      if (i > 0 && slot->devices[place] == slot->devices[place - 1]) continue;  // ranks on one device share the value
      const Tensor& value = slot->parameter.at(i);
      const Tensor gradient = slot->fresh(i) ? slot->leaf(i)->grad().detach() : zeros_like(value.detach());
      updates[place].push_back({value.detach(), nn::optim::dense_gradient(gradient, value), slot->states[place],
                                slot->parameter.lr_mult(), slot->parameter.wd_mult()});
    }
  commit(updates, n);
  ++steps_;
  for (Slot* slot : fresh)
    for (int i = 0; i < slot->parameter.places(); ++i) slot->seen[static_cast<size_t>(i)] = slot->leaf(i)->writes();
}

// Launches only. What failed on one device is copied from one where it did not.
void Trainer::commit(const std::vector<std::vector<nn::optim::Update>>& updates, double n) {
  std::exception_ptr error;
  const std::vector<nn::optim::Update>* good = nullptr;
  std::vector<const std::vector<nn::optim::Update>*> failed;
  for (const auto& place : updates) {
    if (place.empty()) continue;
    try {
      const DeviceGuard on(place[0].value.device());
      optimizer_->apply(place, steps_ + 1, 1 / n);
      good = &place;
    } catch (...) {
      error = std::current_exception();
      failed.push_back(&place);
    }
  }
  if (failed.empty()) return;
  broken_ = true;  // until the copies agree again
  if (!good) std::rethrow_exception(error);
  for (const auto* place : failed)
    for (size_t k = 0; k < place->size(); ++k) {
      ops::copy_((*place)[k].value, (*good)[k].value, {}, "step");
      for (size_t s = 0; s < (*place)[k].state.size(); ++s) ops::copy((*place)[k].state[s], (*good)[k].state[s]);
    }
  broken_ = false;
}

void Trainer::step(double n) {
  allreduce_grads();
  update(n);
}

std::vector<std::pair<std::string, Tensor>> Trainer::state() const {
  std::vector<std::pair<std::string, Tensor>> all;
  all.emplace_back("steps", tensor<int64_t>(steps_, Device()));
  const std::vector<std::string> names = optimizer_->state_names();
  for (const Slot& slot : slots_)
    for (size_t k = 0; k < names.size(); ++k)
      all.emplace_back(slot.parameter.name() + "." + names[k], ops::clone(ops::to(slot.states[0][k], Device())));
  return all;
}

void Trainer::load_state(const std::vector<std::pair<std::string, Tensor>>& state) {
  place_states();
  std::map<std::string, Tensor> given(state.begin(), state.end());
  const std::vector<std::string> names = optimizer_->state_names();
  std::string wrong = given.count("steps") ? "" : " steps is missing.";
  for (const Slot& slot : slots_)
    for (size_t k = 0; k < names.size(); ++k) {
      const std::string name = slot.parameter.name() + "." + names[k];
      const auto found = given.find(name);
      if (found == given.end())
        wrong += " " + name + " is missing.";
      else if (found->second.shape() != slot.parameter.shape())
        wrong += weft::detail::concat(" ", name, " has shape ", found->second.shape(), ", not ", slot.parameter.shape(),
                                      ".");
    }
  WEFT_CHECK(CheckpointError, wrong.empty(), "load_state: the state does not fit:", wrong, " Nothing was changed");
  for (Slot& slot : slots_)
    for (Tensors& copy : slot.states)
      for (size_t k = 0; k < names.size(); ++k) ops::copy(copy[k], given[slot.parameter.name() + "." + names[k]]);
  steps_ = given["steps"].item<int64_t>();
  broken_ = false;
}

}  // namespace weft::parallel
