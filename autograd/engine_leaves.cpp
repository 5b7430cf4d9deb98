// The ends of a pass: what is stored in the leaves when it succeeded, and what is left of the graph when it failed.
#include <algorithm>

#include "weft/autograd/engine.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/copy.h"
#include "weft/autograd/record_scope.h"

namespace weft::autograd {

namespace {

// Two passes may share a leaf. Never destroyed: graphs may be used while static objects go.
std::mutex& leaf_mutex() {
  static std::mutex& instance = *new std::mutex;
  return instance;
}

// What a leaf stores is dense and in memory of its own: a pullback may have passed on its dy, or a view of it.
Tensor own(const Tensor& gradient) {
  const bool shared = gradient.impl().use_count() > 1 || gradient.impl().storage->use_count() > 1;
  return shared || !is_permuted_dense(gradient.shape(), gradient.strides()) ? clone(gradient) : gradient;
}

}  // namespace

// Sums first, for all leaves; then stores. What can fail comes before anything changes.
void Engine::finish_leaves() {
  const ModeGuard mode({options_.create_graph, options_.train_mode});
  std::vector<std::pair<Node*, Contributions*>> ends;
  for (auto& [node, contributions] : ends_) ends.emplace_back(node, &contributions);
  std::sort(ends.begin(), ends.end(),
            [](const auto& a, const auto& b) { return a.first->number() < b.first->number(); });
  std::vector<std::pair<Leaf*, Tensor>> stored;
  for (auto& [node, contributions] : ends) {
    const DeviceGuard device(node->stream().device);
    Tensors gradient = sum_by_output(*contributions, 1);
    if (node->hooks_) apply_hooks(node, gradient);
    for (size_t i = 0; i < variables_.size(); ++i)
      if (edge_of(variables_[i]).node.raw() == node) captured_[i] = gradient[0];
    auto* leaf = static_cast<Leaf*>(node);
    if (options_.store && leaf->request() != GradReq::null) stored.emplace_back(leaf, std::move(gradient[0]));
  }
  store(stored);
}

void Engine::store(std::vector<std::pair<Leaf*, Tensor>>& gradients) {
  const std::lock_guard lock(leaf_mutex());
  for (auto& [leaf, gradient] : gradients)
    gradient = leaf->request() == GradReq::add && leaf->grad().defined() ? add(leaf->grad(), gradient) : own(gradient);
  for (auto& [leaf, gradient] : gradients) {
    leaf->set_grad(std::move(gradient));
    leaf->set_stale(false);
  }
}

// After a failure: nothing of this graph can be used again, and write-gradients that it would have replaced are stale.
void Engine::release_graph() noexcept {
  try {
    if (!discovered_) discover();
  } catch (...) {
    return;  // out of host memory while cleaning up; the claims are still undone by the destructor
  }
  for (Node* node : order_) {
    if (node->is_leaf()) {
      auto* leaf = static_cast<Leaf*>(node);
      const std::lock_guard lock(leaf_mutex());
      if (options_.store && leaf->request() == GradReq::write) leaf->set_stale(true);
      continue;
    }
    if (parks_at(node)) continue;  // the passes of other ranks may be at it
    Engine* holder = nullptr;      // a node that another pass holds is left to it
    if (!node->pass_.compare_exchange_strong(holder, this, std::memory_order_acq_rel) && holder != this) continue;
    node->released_ = true;
    node->drop_saved();
    if (!holder) node->pass_.store(nullptr, std::memory_order_release);
  }
}

}  // namespace weft::autograd
