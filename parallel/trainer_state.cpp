// The trainer's memory: where parameters, gradients and states are, and how they are saved.
#include <map>

#include "weft/nn/answering.h"
#include "weft/parallel/reducer.h"
#include "weft/parallel/trainer_slot.h"
#include "weft/tensor/ops/copy.h"

namespace weft::parallel {

void Trainer::Slot::follow_leaves() {
  bool same = static_cast<int>(leaves.size()) == parameter.places();
  for (int i = 0; same && i < parameter.places(); ++i)
    same = leaves[static_cast<size_t>(i)].raw() == parameter.at(i).impl().slot.raw();
  if (same) return;
  std::vector<Ref<TapeSlot>> now;
  std::vector<uint64_t> now_seen, now_reduced;
  for (int i = 0; i < parameter.places(); ++i) {
    now.push_back(parameter.at(i).impl().slot);
    size_t old = 0;
    while (old < leaves.size() && leaves[old].raw() != now.back().raw()) ++old;
    now_seen.push_back(old < leaves.size() ? seen[old] : 0);
    now_reduced.push_back(old < leaves.size() ? reduced[old] : 0);
  }
  leaves = std::move(now), seen = std::move(now_seen), reduced = std::move(now_reduced);
}

void Trainer::Slot::request(GradReq next) {
  Tensors kept;
  std::vector<bool> was_fresh;
  for (int i = 0; i < parameter.places(); ++i) {
    was_fresh.push_back(fresh(i));
    kept.push_back(leaf(i) ? leaf(i)->grad() : Tensor());
  }
  const bool starts = next == GradReq::add;  // gradients that a step used do not count
  parameter.set_request(next);
  follow_leaves();
  for (int i = 0; i < parameter.places(); ++i) {
    const auto place = static_cast<size_t>(i);
    if (!kept[place].defined() || (starts && !was_fresh[place])) continue;
    leaf(i)->set_grad(kept[place]);
    if (!was_fresh[place]) seen[place] = leaf(i)->writes();
  }
}

// States where the parameters are: made at first, moved after module.to() placed the parameters elsewhere.
void Trainer::place_states() {
  for (Slot& slot : slots_) {
    slot.follow_leaves();
    const std::vector<Device> devices = slot.parameter.devices();
    if (!slot.states.empty() && devices == slot.devices) continue;
    std::vector<Tensors> states;
    for (int i = 0; i < slot.parameter.places(); ++i) {
      Tensors state = optimizer_->make_state(slot.parameter.at(i));
      for (size_t k = 0; k < state.size() && !slot.states.empty(); ++k) ops::copy(state[k], slot.states[0][k]);
      states.push_back(std::move(state));
    }
    slot.states = std::move(states);
    slot.devices = devices;
  }
}

Trainer::NoSync::NoSync(Trainer& trainer) : trainer_(trainer) {
  trainer.place_states();
  for (Slot& slot : trainer.slots_) {
    if (slot.parameter.request() != GradReq::write) continue;
    slot.request(GradReq::add);
    slot.accumulating = true;
  }
  ++trainer.pauses_;
}

Trainer::NoSync::~NoSync() { --trainer_.pauses_; }

void Trainer::zero_grad() {
  unscaled_.clear();
  if (reducer_) reducer_->drop();
  for (Slot& slot : slots_) {
    slot.parameter.zero_grad();
    if (slot.accumulating) slot.request(GradReq::write);
    slot.accumulating = false;
    slot.follow_leaves();
    for (int i = 0; i < slot.parameter.places() && slot.trained(); ++i)
      slot.seen[static_cast<size_t>(i)] = slot.leaf(i)->writes();
  }
}

nn::optim::ParameterGroup& Trainer::group(size_t i) {
  WEFT_CHECK(IndexError, i < groups_.size(), "Trainer: group ", i, " of ", groups_.size());
  return groups_[i];
}

double Trainer::learning_rate() const { return optimizer_->learning_rate(); }
void Trainer::set_learning_rate(double lr) { optimizer_->set_learning_rate(lr); }
int64_t Trainer::steps() const { return steps_; }

std::vector<std::pair<std::string, Tensor>> Trainer::state() const {
  std::vector<std::pair<std::string, Tensor>> all;
  all.emplace_back("steps", tensor<int64_t>(steps_, Device()));
  if (!skipped_.empty()) all.emplace_back("skipped", ops::cast(ops::to(skipped_[0].second, Device()), DType::i64));
  const std::vector<std::string> names = optimizer_->state_names();
  for (const Slot& slot : slots_) {
    const Tensors& states = slot.states[nn::first_answering(slot.devices)];
    for (size_t k = 0; k < names.size(); ++k)
      all.emplace_back(slot.name + "." + names[k], ops::clone(ops::to(states[k], Device())));
  }
  return all;
}

void Trainer::load_state(const std::vector<std::pair<std::string, Tensor>>& state) {
  place_states();
  std::map<std::string, Tensor> given(state.begin(), state.end());
  const std::vector<std::string> names = optimizer_->state_names();
  std::string wrong = given.count("steps") ? "" : " steps is missing.";
  for (const Slot& slot : slots_)
    for (size_t k = 0; k < names.size(); ++k) {
      const std::string name = slot.name + "." + names[k];
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
      for (size_t k = 0; k < names.size(); ++k) ops::copy(copy[k], given[slot.name + "." + names[k]]);
  steps_ = given["steps"].item<int64_t>();
  skipped_.clear();
  if (given.count("skipped"))
    skipped_.emplace_back(Device(), ops::cast(ops::to(given["skipped"], Device()), DType::f64));
  broken_ = false;
}

}  // namespace weft::parallel
