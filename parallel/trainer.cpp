#include "weft/parallel/trainer.h"

#include <set>

#include <algorithm>

#include "weft/autograd/record_scope.h"
#include "weft/nn/optim/clip.h"
#include "weft/parallel/reducer.h"
#include "weft/parallel/trainer_slot.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/reduce.h"
#include "weft/tensor/profile_scope.h"

namespace weft::parallel {

namespace {

constexpr int64_t first_bucket_bytes = int64_t{1} << 20;

}  // namespace

Trainer::Trainer(std::vector<nn::Parameter> parameters, std::unique_ptr<nn::optim::Optimizer> optimizer,
                 const TrainerOptions& options)
    : Trainer(std::vector<nn::optim::ParameterGroup>{{.parameters = std::move(parameters)}}, std::move(optimizer),
              options) {}

Trainer::Trainer(std::vector<nn::optim::ParameterGroup> groups, std::unique_ptr<nn::optim::Optimizer> optimizer,
                 const TrainerOptions& options)
    : optimizer_(std::move(optimizer)),
      options_(options),
      groups_(std::move(groups)),
      first_lr_(optimizer_->learning_rate()) {
  std::set<std::string> names;
  for (size_t g = 0; g < groups_.size(); ++g) {
    WEFT_CHECK(Error, !groups_[g].lr || first_lr_ > 0, "Trainer: group ", g, " has a learning rate of ", *groups_[g].lr,
               ", the optimizer one of 0; give the optimizer a positive one");
    for (const nn::Parameter& p : groups_[g].parameters) {
      for (const Slot& slot : slots_)
        WEFT_CHECK(Error, !slot.parameter.same(p), "Trainer: parameter '", p.name(), "' is listed in group ",
                   slot.group, " and again in group ", g);
      if (p.request() == GradReq::null) continue;
      std::string name = p.name();
      for (int n = 2; names.count(name); ++n) name = p.name() + "#" + std::to_string(n);
      names.insert(name);
      slots_.push_back({.parameter = p, .name = name, .group = g, .devices = p.devices()});
      WEFT_CHECK(DeviceError, slots_.back().devices == slots_.front().devices, "Trainer: parameter '",
                 slots_.front().parameter.name(), "' is on ", slots_.front().devices.size(), " devices, '", p.name(),
                 "' on ", p.places(), " or others; place them alike with module.to(devices)");
    }
  }
  WEFT_CHECK(Error, !slots_.empty(), "Trainer: no parameters that take gradients");
  place_states();
}

Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

std::vector<Trainer::Slot*> Trainer::fresh_slots() {
  WEFT_CHECK(Error, !broken_, "step: copies of the parameters differ since an update failed; load a state first");
  WEFT_CHECK(AutogradError, pauses_ == 0, "step: gradients gather under no_sync(); end its scope first");
  place_states();
  std::vector<Slot*> fresh;
  for (Slot& slot : slots_) {
    if (!slot.trained()) continue;
    for (int i = 0; i < slot.parameter.places(); ++i)
      WEFT_CHECK(AutogradError, !slot.leaf(i)->stale(), "step: the gradient of '", slot.name, "' on ",
                 slot.devices[static_cast<size_t>(i)],
                 " is stale: a backward pass failed; run one that succeeds first");
    if (slot.any_fresh()) {
      fresh.push_back(&slot);
    } else {
      WEFT_CHECK(AutogradError, options_.ignore_stale_grad, "step: no fresh gradient for '", slot.name,
                 "' on any device; run backward() on a loss that depends on it, or set ignore_stale_grad");
    }
  }
  return fresh;
}

// In reverse order of registration, as backward makes them; `slots` are those of each bucket.
std::vector<Bucket> Trainer::lay_out(const std::vector<Slot*>& fresh, std::vector<std::vector<Slot*>>& slots) const {
  std::vector<Bucket> buckets;
  for (auto slot = fresh.rbegin(); slot != fresh.rend(); ++slot) {
    const nn::Parameter& p = (*slot)->parameter;
    if (p.places() == 1 || (*slot)->all_hold_sums()) continue;
    for (int i = 0; i < p.places(); ++i)
      WEFT_CHECK(AutogradError, !(*slot)->is_reduced(i) || (p.request() == GradReq::write && !(*slot)->holds_sum(i)),
                 "allreduce_grads: a backward pass changed gradients of '", (*slot)->name,
                 "' that were already summed over devices; call step() or zero_grad() before it, or gather gradients "
                 "with no_sync() or GradReq::add before they are summed");
    const int64_t size = p.numel() * size_of(p.dtype());
    const int64_t limit =
        buckets.size() <= 1 ? std::min(first_bucket_bytes, options_.bucket_bytes) : options_.bucket_bytes;
    if (buckets.empty() || buckets.back().bytes() + size > limit || buckets.back().dtype() != p.dtype()) {
      buckets.push_back({.devices = (*slot)->devices});
      slots.emplace_back();
    }
    buckets.back().add(p, (*slot)->leaves);
    slots.back().push_back(*slot);
  }
  return buckets;
}

// Made in advance, else now. A copy without a fresh gradient counts as zero.
Tensors Trainer::sums_of(const Bucket& bucket, const std::vector<Slot*>& slots) const {
  if (reducer_)
    if (Tensors sums = reducer_->take(bucket); !sums.empty()) return sums;
  std::vector<Tensors> gradients;
  for (const Slot* slot : slots) {
    gradients.emplace_back();
    for (int i = 0; i < slot->parameter.places(); ++i)
      gradients.back().push_back(slot->fresh(i) ? slot->leaf(i)->grad().detach() : Tensor());
  }
  return bucket.sum(gradients);
}

void Trainer::expect(const std::vector<Bucket>& buckets) {
  if (!options_.overlap || buckets.empty()) return;
  if (!reducer_) {
    auto reducer = std::make_shared<Reducer>();
    autograd::observe_leaves(reducer);
    reducer_ = std::move(reducer);
  }
  reducer_->expect(buckets);
}

void Trainer::allreduce_grads() {
  const autograd::NoGrad pause;
  std::vector<std::vector<Slot*>> slots;
  const std::vector<Bucket> buckets = lay_out(fresh_slots(), slots);
  std::vector<Tensors> sums;
  for (size_t b = 0; b < buckets.size(); ++b) sums.push_back(sums_of(buckets[b], slots[b]));
  expect(buckets);
  std::vector<Tensors> parts;  // made before anything is changed, of each bucket and place
  for (size_t b = 0; b < buckets.size(); ++b)
    for (size_t i = 0; i < buckets[b].places(); ++i) {
      parts.emplace_back();
      for (size_t k = 0; k < slots[b].size(); ++k) parts.back().push_back(buckets[b].part_of(sums[b][i], k, i));
    }
  auto part = parts.begin();
  for (size_t b = 0; b < buckets.size(); ++b)
    for (size_t i = 0; i < buckets[b].places(); ++i, ++part)
      for (size_t k = 0; k < slots[b].size(); ++k) {
        Slot& slot = *slots[b][k];
        slot.leaf(static_cast<int>(i))->set_grad(std::move((*part)[k]));
        slot.reduced[i] = slot.leaf(static_cast<int>(i))->writes();
      }
}

void Trainer::check_finite(const std::vector<Slot*>& fresh) const {
  for (const Slot* slot : fresh)
    for (int i = 0; i < slot->parameter.places(); ++i) {
      if (!slot->fresh(i)) continue;
      const Tensor g = slot->leaf(i)->grad().detach();
      const Tensor difference = ops::sub(g, g);  // NaN where g is NaN or infinite
      const auto bad = ops::sum(ops::not_equal(difference, difference)).item<int64_t>();
      WEFT_CHECK(Error, bad == 0, "step: gradient of '", slot->name, "' holds ", bad,
                 " values that are NaN or infinite (first on ", slot->devices[static_cast<size_t>(i)],
                 "); parameters unchanged");
    }
}

void Trainer::update(double n, nn::optim::GradScaler* scaler) {
  WEFT_CHECK(Error, n > 0, "step: divided by ", n, "; n must be positive");
  const weft::detail::ProfileScope scope(ProfileKind::pass, "update");
  const autograd::NoGrad pause;
  const std::vector<Slot*> fresh = fresh_slots();
  if (options_.check_finite && !scaler) check_finite(fresh);
  Updates updates(slots_[0].devices.size());
  for (Slot* slot : fresh)
    for (int i = 0; i < slot->parameter.places(); ++i) {
      const auto place = static_cast<size_t>(i);
      if (!slot->owns_value(place)) continue;
      const Tensor& value = slot->parameter.at(i);
      const Tensor gradient = slot->fresh(i) ? slot->leaf(i)->grad().detach() : zeros_like(value.detach());
      const nn::optim::ParameterGroup& group = groups_[slot->group];
      const double rate = (group.lr ? *group.lr / first_lr_ : 1) * group.lr_mult;
      updates[place].push_back({value.detach(), nn::optim::dense_gradient(gradient, value), slot->states[place],
                                slot->parameter.lr_mult() * rate, slot->parameter.wd_mult() * group.wd_mult,
                                group.weight_decay});
    }
  const Gates gates = gates_of(updates, fresh, scaler);
  finish_sums(fresh);
  commit(updates, gates, n);
  finish_gates(gates, scaler);
  ++steps_;
  for (Slot* slot : fresh)
    for (int i = 0; i < slot->parameter.places(); ++i) slot->seen[static_cast<size_t>(i)] = slot->leaf(i)->writes();
  for (Slot& slot : slots_)
    if (slot.accumulating) {
      slot.request(GradReq::write);
      slot.accumulating = false;
    }
}

// Sums that may still be under way come to their end before anything changes; where they do not, they are no gradients.
void Trainer::finish_sums(const std::vector<Slot*>& fresh) {
  try {
    finish_collectives(slots_[0].devices);
  } catch (...) {
    for (const Slot* slot : fresh) slot->drop_gradients();
    unscaled_.clear();
    throw;
  }
}

// Launches only, once all sums are there: what was launched before may have found a bad label or lost a device, and
// then no copy changes. What fails here on one device is copied from one where it did not.
void Trainer::commit(const Updates& updates, const Gates& gates, double n) {
  for (const auto& place : updates)
    if (updates.size() > 1 && !place.empty()) current_stream(place[0].value.device()).synchronize();
  std::exception_ptr error;
  const std::vector<nn::optim::Update>* good = nullptr;
  std::vector<const std::vector<nn::optim::Update>*> failed;
  for (const auto& place : updates) {
    if (place.empty()) continue;
    try {
      const DeviceGuard on(place[0].value.device());
      optimizer_->apply(place, steps_ + 1, 1 / n, parallel::on(gates, place[0].value.device()));
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

std::vector<nn::Parameter> Trainer::trained() const {
  std::vector<nn::Parameter> parameters;
  for (const Slot& slot : slots_)
    if (slot.trained() && slot.any_fresh()) parameters.push_back(slot.parameter);
  return parameters;
}

double Trainer::clip_grad_norm(double max_norm, double n) {
  allreduce_grads();
  try {
    return nn::optim::clip_grad_norm(trained(), max_norm * n, unscaled_.empty()) / n;
  } catch (...) {
    forget_dropped();
    throw;
  }
}

void Trainer::clip_grad_value(double limit, double n) {
  allreduce_grads();
  try {
    nn::optim::clip_grad_value(trained(), limit * n);
  } catch (...) {
    forget_dropped();
    throw;
  }
}

// Gradients that clipping has dropped, because it failed half-way, are not divided by a scale any more.
void Trainer::forget_dropped() noexcept {
  for (const Slot& slot : slots_)
    if (slot.trained() && slot.leaf(0)->stale()) unscaled_.clear();
}

void Trainer::step(double n, nn::optim::GradScaler* scaler) {
  try {
    allreduce_grads();
    update(n, scaler);
  } catch (...) {
    abandon_collectives(slots_[0].devices);
    throw;
  }
}

void Trainer::step(double n) { step(n, nullptr); }
void Trainer::update(double n) { update(n, nullptr); }

}  // namespace weft::parallel
