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

// Counts what is to come for leaves that observers are told of. A head that is a leaf counts one that no node sends, so
// it is told of nobody.
void Engine::observe() {
  observers_ = leaf_observers();
  if (observers_.empty()) return;
  static constinit std::atomic<uint64_t> passes{0};
  number_ = ++passes;
  const auto count = [this](const Edge& edge) {
    if (!edge.node || !edge.node->is_leaf() || edge.node->hooks_) return;
    if (static_cast<Leaf*>(edge.node.raw())->request() == GradReq::write) ++due_[edge.node.raw()];
  };
  for (const Tensor& head : heads_) count(edge_of(head));
  for (Node* node : order_)
    for (const Edge& edge : node->edges()) count(edge);
}

// Counts one that arrived; the caller holds the mutex. True for the last at a leaf that observers are told of.
bool Engine::is_last(const Edge& to) {
  if (due_.empty() || !to.node->is_leaf()) return false;
  const auto due = due_.find(to.node.raw());
  return due != due_.end() && --due->second == 0;
}

// The same sum and the same memory as at the end of the pass, but now.
void Engine::finish_early(Node* leaf) {
  Contributions* contributions = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = ends_.find(leaf);
    if (found == ends_.end()) return;
    contributions = &found->second;  // nobody else touches it: all are there
  }
  const DeviceGuard device(leaf->stream().device);
  Tensor gradient = own(sum_by_output(*contributions, 1)[0]);
  contributions->push_back({0, 0, 0, current_stream(gradient.device()), gradient});
  {
    const std::lock_guard lock(mutex_);
    finished_.insert(leaf);
  }
  for (const auto& observer : observers_) observer->ready(number_, *static_cast<Leaf*>(leaf), gradient);
}

// Sums first, for all leaves; then stores. What can fail comes before anything changes.
void Engine::finish_leaves() {
  const ModeGuard mode({options_.create_graph, options_.train_mode});
  std::vector<std::pair<Node*, Contributions*>> ends;
  for (auto& [node, contributions] : ends_) ends.emplace_back(node, &contributions);
  std::sort(ends.begin(), ends.end(),
            [](const auto& a, const auto& b) { return a.first->number() < b.first->number(); });
  std::vector<Stored> stored;
  for (auto& [node, contributions] : ends) {
    const DeviceGuard device(node->stream().device);
    Tensors gradient = sum_by_output(*contributions, 1);
    if (node->hooks_ && !finished_.count(node)) apply_hooks(node, gradient);
    for (size_t i = 0; i < variables_.size(); ++i)
      if (edge_of(variables_[i]).node.raw() == node) captured_[i] = gradient[0];
    auto* leaf = static_cast<Leaf*>(node);
    if (options_.store && leaf->request() != GradReq::null)
      stored.push_back({leaf, std::move(gradient[0]), finished_.count(node) > 0});
  }
  store(stored);
}

void Engine::store(std::vector<Stored>& gradients) {
  const std::lock_guard lock(leaf_mutex());
  for (auto& [leaf, gradient, finished] : gradients) {
    if (leaf->request() == GradReq::add && leaf->grad().defined())
      gradient = add(leaf->grad(), gradient);
    else if (!finished)
      gradient = own(gradient);
  }
  for (auto& [leaf, gradient, finished] : gradients) {
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
