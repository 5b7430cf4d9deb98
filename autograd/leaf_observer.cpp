#include "weft/autograd/leaf_observer.h"

#include <mutex>

namespace weft::autograd {

namespace {

// Never destroyed: passes may run while static objects go.
struct Registry {
  std::mutex mutex;
  std::vector<std::weak_ptr<LeafObserver>> observers;
};
Registry& registry() {
  static auto& instance = *new Registry;
  return instance;
}

}  // namespace

void observe_leaves(const std::shared_ptr<LeafObserver>& observer) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.observers, [](const auto& one) { return one.expired(); });
  all.observers.push_back(observer);
}

std::vector<std::shared_ptr<LeafObserver>> leaf_observers() {
  Registry& all = registry();
  std::vector<std::shared_ptr<LeafObserver>> living;
  const std::lock_guard lock(all.mutex);
  for (const auto& one : all.observers)
    if (auto observer = one.lock()) living.push_back(std::move(observer));
  return living;
}

}  // namespace weft::autograd
