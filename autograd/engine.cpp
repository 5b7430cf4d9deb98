// The backward pass: which nodes, in what order, on which threads. One file although it is long: what starts, runs and
// ends a pass shares its state and one mutex; leaves and ranks have files of their own.
#include "weft/autograd/engine.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_set>

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/record_scope.h"
#include "weft/autograd/running.h"
#include "weft/tensor/profile_scope.h"
#include "weft/tensor/stream_order.h"

namespace weft::autograd {

namespace {

// Heap order: the largest number on top.
bool earlier(const Node* a, const Node* b) { return a->number() < b->number(); }

// Per-edge scratch of one node; nodes with more than eight inputs (concatenations, joint nodes) pay an allocation.
template <class T>
class Scratch {
 public:
  explicit Scratch(size_t n) : heap_(n > 8 ? new T[n]() : nullptr), span_(heap_ ? heap_.get() : inline_, n) {}
  std::span<T> get() { return span_; }

 private:
  T inline_[8] = {};
  std::unique_ptr<T[]> heap_;
  std::span<T> span_;
};

class RunningGuard {
 public:
  explicit RunningGuard(const char* name) noexcept : previous_(running_operation()) { running_operation() = name; }
  ~RunningGuard() { running_operation() = previous_; }
  RunningGuard(const RunningGuard&) = delete;
  RunningGuard& operator=(const RunningGuard&) = delete;

 private:
  const char* previous_;
};

}  // namespace

Engine::Engine(const Tensors& heads, const Tensors& head_grads, const Tensors& variables, const Options& options)
    : options_(options), heads_(heads), head_grads_(head_grads), variables_(variables), captured_(variables.size()) {}

// A pass that failed may leave gradients and claims in nodes it did not reach.
Engine::~Engine() {
  const auto clean = [this](Node* node) {
    if (node->pass_.load(std::memory_order_relaxed) != this) return;
    node->arrived_ = Tensor();
    node->incoming_.reset();
    node->pending_ = 0;
    node->pass_.store(nullptr, std::memory_order_release);
  };
  for (Node* node : order_) clean(node);
  for (const Tensor& head : heads_)
    if (const Edge edge = edge_of(head); edge.node) clean(edge.node.raw());  // held to the end, see run_serially()
  for (Queue& queue : queues_) std::for_each(queue.heap.begin(), queue.heap.end(), clean);
}

void Engine::claim(Node* node) {
  Engine* holder = nullptr;
  if (node->pass_.compare_exchange_strong(holder, this, std::memory_order_acq_rel) || holder == this) return;
  refused_ = true;
  fail<AutogradError>("backward of ", node->name(),
                      ": another thread's backward is using this graph; run one after the other with retain_graph, or "
                      "record a graph per thread");
}

// All nodes that the heads reach, in descending order of numbers.
void Engine::discover() {
  std::unordered_set<Node*> seen;
  std::vector<Node*> stack;
  const auto visit = [&](Node* node) {
    if (seen.insert(node).second) stack.push_back(node);
  };
  for (const Tensor& head : heads_) visit(edge_of(head).node.raw());
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    order_.push_back(node);
    const JointRanks* ranks = parks_at(node);
    const std::span<Edge> edges = node->edges();
    for (size_t i = 0; i < edges.size(); ++i)
      if (edges[i].node && followed(ranks, i)) visit(edges[i].node.raw());
  }
  std::sort(order_.begin(), order_.end(), [](Node* a, Node* b) { return a->number() > b->number(); });
  discovered_ = true;
  if (options_.store) return;
  for (const Tensor& variable : variables_) needed_[edge_of(variable).node.raw()] = true;
  for (auto node = order_.rbegin(); node != order_.rend(); ++node) {  // inputs before consumers
    const JointRanks* ranks = parks_at(*node);
    const std::span<Edge> edges = (*node)->edges();
    bool mark = needed_[*node];
    for (size_t i = 0; i < edges.size(); ++i)
      mark = mark || (edges[i].node && followed(ranks, i) && needed_[edges[i].node.raw()]);
    needed_[*node] = mark || ranks;  // the other ranks count on this one
  }
}

bool Engine::needed(Node* node) const {
  if (options_.store) return true;
  const auto found = needed_.find(node);
  return found != needed_.end() && found->second;
}

void Engine::start(Executor* executor) {
  if (executor) rank_ = {};
  if (executor || !options_.store) discover();
  if (executor)
    for (Node* node : order_)
      if (!node->is_leaf()) places_.push_back({node->stream().device, node->replica()});
  std::sort(places_.begin(), places_.end());
  places_.erase(std::unique(places_.begin(), places_.end()), places_.end());
  parallel_ = places_.size() > 1;
  queues_ = std::vector<Queue>(parallel_ ? places_.size() : 1);
  if (parallel_) count_pending();
  if (parallel_ && options_.store && !options_.create_graph) observe();
  for (size_t i = 0; i < heads_.size(); ++i) {
    const Edge edge = edge_of(heads_[i]);
    deliver(edge, {std::numeric_limits<uint64_t>::max(), static_cast<uint32_t>(i), edge.output,
                   current_stream(heads_[i].device()), head_grads_[i]});
  }
  if (parallel_)
    run_on(*executor);
  else
    run_serially();
}

void Engine::count_pending() {
  for (Node* node : order_)
    if (!node->is_leaf() && needed(node)) {
      claim(node);
      node->pending_ = 0;
      ++remaining_;
    }
  const auto count = [&](const Edge& edge) {
    if (edge.node && !edge.node->is_leaf() && needed(edge.node.raw())) ++edge.node->pending_;
  };
  for (const Tensor& head : heads_) count(edge_of(head));
  for (Node* node : order_)
    if (needed(node))
      for (const Edge& edge : node->edges()) count(edge);
}

void Engine::run(Executor* executor) {
  const CastGuard plain;  // pullbacks run in the types of the forward pass
  try {
    start(executor);
    finish_leaves();
  } catch (...) {
    // Refused before anything ran: another pass has this graph, or had it, and nothing here is this one's to change.
    if (ran_ || !refused_) release_graph();
    for (const auto& observer : observers_) observer->failed(number_);
    throw;
  }
}

void Engine::run_serially() {
  auto& heap = queues_[0].heap;
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), earlier);
    Node* node = heap.back();
    heap.pop_back();
    if (parks_at(node)) {  // it belongs to several passes, so none of them claims it
      run_node(node);
      continue;
    }
    // A head stays claimed to the end of the pass: of two threads with one loss the second is refused at once, and
    // cannot meet the first half-way.
    const bool head =
        std::any_of(heads_.begin(), heads_.end(), [&](const Tensor& h) { return h.impl().slot.raw() == node; });
    struct Unclaim {  // also when the node throws: it has left the heap, which the destructor cleans
      Node* node;
      bool keep;
      ~Unclaim() {
        node->arrived_ = Tensor();
        node->incoming_.reset();
        if (!keep) node->pass_.store(nullptr, std::memory_order_release);
      }
    } unclaim{node, head};
    run_node(node);
  }
}

void Engine::run_on(Executor& executor) {
  std::vector<Device> devices;
  for (const Place& place : places_) devices.push_back(place.device);
  streams_ = current_streams();
  executor.run(devices, [this](int i) { work(static_cast<size_t>(i)); });
  if (error_) std::rethrow_exception(error_);  // an executor that kept it to itself
}

size_t Engine::queue_of(const Node* node) const {
  const Place place{node->stream().device, node->replica()};
  return static_cast<size_t>(std::lower_bound(places_.begin(), places_.end(), place) - places_.begin());
}

// A device's worker: runs what is ready on its queue until all nodes of the pass ran or one failed anywhere.
void Engine::work(size_t index) {
  const CastGuard plain;
  const StreamsGuard streams(streams_);
  Queue& queue = queues_[index];
  std::unique_lock lock(mutex_);
  for (;;) {
    queue.ready.wait(lock, [&] { return !queue.heap.empty() || remaining_ == 0 || error_; });
    if (remaining_ == 0 || error_) return;
    std::pop_heap(queue.heap.begin(), queue.heap.end(), earlier);
    Node* node = queue.heap.back();
    queue.heap.pop_back();
    lock.unlock();
    std::exception_ptr failure;
    try {
      run_node(node);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && !error_) error_ = failure;
    if (--remaining_ == 0 || error_)
      for (Queue& other : queues_) other.ready.notify_all();
    if (failure) std::rethrow_exception(failure);  // here, so that the executor can say which device it was
  }
}

Tensors Engine::gather(Node* node) {
  Tensors dys;
  if (const auto parked = parked_.find(node); parked != parked_.end()) {
    dys = sum_by_output(parked->second, node->outputs());
  } else if (node->incoming_) {
    dys = sum_by_output(node->incoming_->contributions, node->outputs());
  } else {
    dys.resize(node->outputs());
    dys[0] = std::move(node->arrived_);
  }
  return dys;
}

void Engine::apply_hooks(Node* node, Tensors& dys) {
  for (const auto& entry : *node->hooks_) {
    Tensor& dy = dys[entry.output];
    if (!dy.defined()) continue;
    if (Tensor replaced = entry.hook(dy); replaced.defined()) dy = std::move(replaced);
  }
}

void Engine::run_node(Node* node) {
  if (node->released_) {
    refused_ = true;
    fail<AutogradError>("backward of ", node->name(),
                        ": the graph of this loss was already used and released; pass retain_graph to the first call");
  }
  ran_ = true;
  const JointRanks* ranks = parks_at(node);
  const DeviceGuard device(ranks ? current_device() : node->stream().device);
  std::optional<StreamGuard> stream;
  if (!ranks && current_stream() != node->stream()) stream.emplace(node->stream());
  const ModeGuard mode({options_.create_graph, options_.train_mode});
  const RunningGuard running(node->name());
  const weft::detail::ProfileScope scope(ProfileKind::node, std::string_view(node->name()));
  Tensors dys = gather(node);
  if (node->hooks_) apply_hooks(node, dys);
  for (size_t i = 0; i < variables_.size(); ++i) {
    const Edge edge = edge_of(variables_[i]);
    if (edge.node.raw() == node) captured_[i] = dys[edge.output];
  }
  const std::span<Edge> edges = node->edges();
  Scratch<bool> wanted(edges.size());
  Scratch<Tensor> dxs(edges.size());
  bool any = false;
  for (size_t i = 0; i < edges.size(); ++i)
    any |= wanted.get()[i] = edges[i].node && followed(ranks, i) && needed(edges[i].node.raw());
  const bool arrived = std::any_of(dys.begin(), dys.end(), [](const Tensor& dy) { return dy.defined(); });
  if (ranks) {
    pull_with_others(node, *ranks, dys, dxs.get());
  } else {
    if (any && arrived) node->pull(dys, wanted.get(), dxs.get());
    if (!options_.retain_graph && !options_.create_graph) {
      node->released_ = true;
      node->drop_saved();
    }
  }
  std::vector<Node*> complete;
  std::unique_lock<std::mutex> lock;
  if (parallel_) lock = std::unique_lock(mutex_);
  for (uint32_t i = 0; i < edges.size(); ++i) {
    if (!wanted.get()[i]) continue;
    deliver(edges[i], {node->number(), i, edges[i].output, current_stream(), std::move(dxs.get()[i])});
    if (is_last(edges[i])) complete.push_back(edges[i].node.raw());
  }
  if (complete.empty()) return;
  lock.unlock();
  for (Node* leaf : complete) finish_early(leaf);
}

// In a parallel pass the caller holds the mutex, and an undefined gradient, which is zero, counts as arrived.
void Engine::deliver(const Edge& to, Contribution contribution) {
  Node* node = to.node.raw();
  if (!needed(node)) return;
  if (contribution.gradient.defined()) contribution.stream = current_stream(contribution.gradient.device());
  if (node->is_leaf()) {
    if (contribution.gradient.defined()) ends_[node].push_back(std::move(contribution));
    return;
  }
  if (parks_at(node)) {  // also without a gradient: the other ranks count on this one
    const auto [parked, is_new] = parked_.try_emplace(node);
    if (contribution.gradient.defined()) parked->second.push_back(std::move(contribution));
    if (is_new) push(node);
    return;
  }
  if (!parallel_ && !contribution.gradient.defined()) return;
  bool first = false;
  if (!parallel_ && node->pass_.load(std::memory_order_relaxed) != this) {
    claim(node);
    first = true;
  }
  const bool simple = !parallel_ && node->outputs() == 1 &&
                      (!contribution.gradient.defined() || current_stream(node->stream().device) == node->stream());
  if (contribution.gradient.defined()) {
    if (simple) {
      Tensor& sum = node->arrived_;
      sum = sum.defined() ? add(sum, contribution.gradient) : std::move(contribution.gradient);
    } else {
      if (!node->incoming_) node->incoming_ = std::make_unique<Node::Incoming>();
      node->incoming_->contributions.push_back(std::move(contribution));
    }
  }
  if (first || (parallel_ && --node->pending_ == 0)) push(node);
}

void Engine::push(Node* node) {
  Queue& queue = queues_[parallel_ ? queue_of(node) : 0];
  queue.heap.push_back(node);
  std::push_heap(queue.heap.begin(), queue.heap.end(), earlier);
  if (parallel_) queue.ready.notify_one();
}

}  // namespace weft::autograd
