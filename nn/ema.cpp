#include "weft/nn/ema.h"

#include <algorithm>
#include <map>

#include "weft/autograd/record_scope.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/foreach.h"

namespace weft::nn {

Ema::Ema(const Module& module, const EmaOptions& options) : options_(options) {
  WEFT_CHECK(Error, options.decay >= 0 && options.decay < 1, "Ema: decay is ", options.decay, "; it lies in [0, 1)");
  const auto copy = [](const Placed& p) {
    p.settle();
    return ops::clone(p.at(0).detach());
  };
  for (const Parameter& p : module.parameters()) slots_.push_back({p.name(), p, copy(p), true});
  for (const Buffer& b : module.buffers()) slots_.push_back({b.name(), b, copy(b), false});
}

void Ema::update() {
  WEFT_CHECK(Error, !swapped_, "Ema: the module holds the averages now; call swap() before update()");
  const autograd::NoGrad pause;
  const auto n = static_cast<double>(updates_);
  const double decay = options_.ramp ? std::min(options_.decay, (1 + n) / (10 + n)) : options_.decay;
  std::map<Device, std::pair<Tensors, Tensors>> lists;  // averages and values
  for (const Slot& slot : slots_) {
    slot.value.settle();
    const Tensor value = ops::to(slot.value.at(0).detach(), slot.average.device());
    if (!slot.averaged) {
      ops::copy_(slot.average, value);
      continue;
    }
    auto& [averages, values] = lists[slot.average.device()];
    averages.push_back(slot.average), values.push_back(value);
  }
  for (const auto& [device, list] : lists) ops::foreach_axpby_(list.first, decay, 1 - decay, list.second);
  ++updates_;
}

void Ema::swap() {
  const autograd::NoGrad pause;
  Tensors values;
  for (const Slot& slot : slots_) {
    slot.value.settle();
    values.push_back(ops::clone(slot.value.at(0).detach()));
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].value.set(slots_[i].average);
    ops::copy_(slots_[i].average, values[i]);
  }
  swapped_ = !swapped_;
}

Ema::Scope::~Scope() {
  try {
    ema_.swap();
  } catch (const std::exception&) {
    // Out of memory: the module keeps the averages, and update() says so.
  }
}

std::vector<std::pair<std::string, Tensor>> Ema::state() const {
  WEFT_CHECK(Error, !swapped_, "Ema: the module holds the averages now; call swap() before state()");
  std::vector<std::pair<std::string, Tensor>> all;
  all.emplace_back("updates", tensor<int64_t>(updates_, Device()));
  for (const Slot& slot : slots_) all.emplace_back(slot.name, ops::clone(ops::to(slot.average, Device())));
  return all;
}

void Ema::load_state(const std::vector<std::pair<std::string, Tensor>>& state) {
  WEFT_CHECK(Error, !swapped_, "Ema: the module holds the averages now; call swap() before load_state()");
  const std::map<std::string, Tensor> given(state.begin(), state.end());
  std::string wrong = given.count("updates") ? "" : " updates is missing.";
  for (const Slot& slot : slots_) {
    const auto found = given.find(slot.name);
    if (found == given.end())
      wrong += " " + slot.name + " is missing.";
    else if (found->second.shape() != slot.average.shape())
      wrong += weft::detail::concat(" ", slot.name, " has shape ", found->second.shape(), ", not ",
                                    slot.average.shape(), ".");
  }
  WEFT_CHECK(CheckpointError, wrong.empty(), "Ema: the state does not fit:", wrong, " Nothing was changed");
  for (const Slot& slot : slots_) ops::copy_(slot.average, given.at(slot.name));
  updates_ = given.at("updates").item<int64_t>();
}

}  // namespace weft::nn
