// What a trainer knows of one parameter. Private to parallel/trainer*.cpp.
#pragma once

#include <algorithm>
#include <vector>

#include "weft/autograd/node.h"
#include "weft/parallel/trainer.h"

namespace weft::parallel {

/// The tensor of a device; undefined if the list has none.
inline Tensor on(const std::vector<std::pair<Device, Tensor>>& list, Device device) {
  for (const auto& [at, tensor] : list)
    if (at == device) return tensor;
  return {};
}

struct Trainer::Slot {
  nn::Parameter parameter;
  std::string name;  // when the trainer was built, and unique: a parameter's own follows the module that lists it last
  size_t group = 0;
  std::vector<Device> devices = {};
  std::vector<Ref<TapeSlot>> leaves = {};  // of each copy; another one after module.to() or a change of GradReq
  std::vector<uint64_t> seen = {};         // writes of each leaf when its gradient was last used
  std::vector<uint64_t> reduced = {};      // the same when it was last summed
  std::vector<Tensors> states = {};        // of each copy
  bool accumulating = false;               // its request is `add` until the next update, for no_sync()

  /// False for a parameter that was frozen after the trainer was built.
  bool trained() const { return parameter.request() != GradReq::null; }
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
  /// False where an earlier place is on the same device: ranks on one device share the value and its state.
  bool owns_value(size_t place) const {
    const auto here = devices.begin() + static_cast<std::ptrdiff_t>(place);
    return std::find(devices.begin(), here, *here) == here;
  }
  /// The gradient was summed since the last step …
  bool is_reduced(int place) const { return reduced[static_cast<size_t>(place)] > seen[static_cast<size_t>(place)]; }
  /// … and is still that sum.
  bool holds_sum(int place) const {
    return is_reduced(place) && leaf(place)->writes() == reduced[static_cast<size_t>(place)];
  }
  bool all_hold_sums() const {
    for (int i = 0; i < parameter.places(); ++i)
      if (!holds_sum(i)) return false;
    return true;
  }
  /// For a change of gradients that failed when some of them, or some of their copies, had changed.
  void drop_gradients() const {
    for (int i = 0; i < parameter.places(); ++i) {
      leaf(i)->set_grad(Tensor());
      leaf(i)->set_stale(true);
    }
  }
  /// After the parameter got other leaves: what is known of those that stayed, nothing of new ones.
  void follow_leaves();
  /// Changes the request and keeps gradients that were not used yet.
  void request(GradReq next);
};

}  // namespace weft::parallel
