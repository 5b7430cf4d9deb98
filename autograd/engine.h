// Engine: one backward pass. Private to autograd/; users call backward() and grad().
//
// In one thread the pass is a heap of nodes by descending number. Over several devices it is the same pass with a heap
// per device (per rank, where ranks share one), each drained by a worker; a node is ready when all its gradients have
// arrived. Nothing recurses and no pullback waits. A rank's own pass stops at the joint nodes of its group (joint.h).
#pragma once

#include <condition_variable>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "weft/autograd/backward.h"
#include "weft/autograd/incoming.h"
#include "weft/autograd/joint.h"
#include "weft/autograd/leaf_observer.h"

namespace weft::autograd {

class Engine {
 public:
  struct Options {
    bool retain_graph = false;
    bool create_graph = false;
    bool train_mode = true;
    bool store = true;  ///< store gradients in the leaves; else only capture those of `variables`
  };

  Engine(const Tensors& heads, const Tensors& head_grads, const Tensors& variables, const Options& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void run(Executor* executor);
  /// The gradients of the variables, undefined where none arrived.
  Tensors take_captured() { return std::move(captured_); }

 private:
  /// Where nodes run: a device, or one of the ranks on it.
  struct Place {
    Device device;
    int replica;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  struct Queue {
    std::vector<Node*> heap;
    std::condition_variable ready;
  };
  using Contributions = std::vector<Contribution>;

  void start(Executor* executor);
  void discover();
  void claim(Node* node);
  void count_pending();
  void run_serially();
  void run_on(Executor& executor);
  void work(size_t queue);
  void run_node(Node* node);
  const JointRanks* parks_at(const Node* node) const noexcept;
  bool followed(const JointRanks* ranks, size_t input) const { return !ranks || ranks->inputs[input] == rank_.rank; }
  void pull_with_others(Node* node, const JointRanks& ranks, const Tensors& dys, std::span<Tensor> dxs);
  static std::vector<Tensors> pull_for_all(Node* node, const JointRanks& ranks, std::span<const Tensors> deposits,
                                           bool release);
  Tensors gather(Node* node);
  void apply_hooks(Node* node, Tensors& dys);
  void deliver(const Edge& to, Contribution contribution);
  void push(Node* node);
  size_t queue_of(const Node* node) const;
  /// What a leaf is to store; `finished`: it is dense and in memory of its own already.
  struct Stored {
    Leaf* leaf;
    Tensor gradient;
    bool finished;
  };
  void observe();
  bool is_last(const Edge& to);
  void finish_early(Node* leaf);
  void finish_leaves();
  static void store(std::vector<Stored>& gradients);
  void release_graph() noexcept;
  bool needed(Node* node) const;

  Options options_;
  Tensors heads_;
  Tensors head_grads_;
  Tensors variables_;
  Tensors captured_;
  std::vector<Node*> order_;                       // all nodes of the pass, filled by discover()
  std::unordered_map<Node*, bool> needed_;         // filled for grad(): does it lead to a variable
  std::unordered_map<Node*, Contributions> ends_;  // what arrived at leaves
  std::vector<std::shared_ptr<LeafObserver>> observers_;
  uint64_t number_ = 0;                              // of the pass, for the observers
  std::unordered_map<Node*, int64_t> due_;           // contributions still to come at leaves they are told of
  std::unordered_set<Node*> finished_;               // those leaves, with one contribution that is the sum of all
  RankContext rank_ = current_rank();                // of this thread; none in a pass over several devices
  std::unordered_map<Node*, Contributions> parked_;  // what arrived at joint nodes of its group
  bool discovered_ = false;
  std::atomic<bool> refused_ = false;  // a node was used up or is in another thread's pass
  std::atomic<bool> ran_ = false;      // a node of this pass ran

  bool parallel_ = false;
  std::mutex mutex_;
  std::vector<Queue> queues_;
  std::vector<Place> places_;    // of the queues, sorted
  std::vector<Stream> streams_;  // of the caller, for what a node does on other devices than its own
  int64_t remaining_ = 0;
  std::exception_ptr error_;
};

}  // namespace weft::autograd
