// Node: one recorded operation. It knows where its inputs came from (edges) and how to pull gradients of its outputs
// back to them. Nodes are numbered as they are made, so a node's inputs always have smaller numbers: descending order
// of numbers is a valid order for the backward pass.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "weft/tensor/small_pool.h"
#include "weft/tensor/tensor.h"

namespace weft::autograd {

class Node;
class Engine;

/// Output `output` of `node`; no node: the input is not tracked.
struct Edge {
  Ref<Node> node;
  uint32_t output = 0;
};

/// Sees the gradient of one output when it is complete; a defined return value replaces it.
using Hook = std::function<Tensor(const Tensor& gradient)>;

class Node : public TapeSlot {
 public:
  /// `name` as users call the operation; `stream` is where its gradient runs.
  Node(const char* name, Stream stream, uint32_t outputs);
  ~Node() override;

  const char* name() const { return name_; }
  uint64_t number() const { return number_; }
  Stream stream() const { return stream_; }
  /// Among the ranks on that device, the one whose thread recorded the operation.
  int replica() const { return replica_; }
  uint32_t outputs() const { return outputs_; }
  virtual std::span<Edge> edges() noexcept = 0;

  /// dys[i]: gradient of output i, undefined if none arrived. Fills dxs[j] for every j with wanted[j]; leaves others
  /// undefined. Pure: what it returns is new, and it changes nothing.
  virtual void pull(std::span<const Tensor> dys, std::span<const bool> wanted, std::span<Tensor> dxs) = 0;
  /// Drops what the pullback kept. The node cannot run again.
  virtual void drop_saved() noexcept = 0;
  virtual bool is_leaf() const { return false; }

  void add_hook(uint32_t output, Hook hook);
  /// Last reference gone: disposes without recursion, however long the chain.
  void dispose() noexcept final;

  static void* operator new(size_t bytes) { return detail::small_allocate(bytes); }
  static void operator delete(void* block, size_t bytes) noexcept { detail::small_deallocate(block, bytes); }

 private:
  friend class Engine;
  struct Incoming;  // gradients that have arrived, per pass
  struct HookEntry {
    uint32_t output;
    Hook hook;
  };

  const char* name_;
  uint64_t number_;
  Stream stream_;
  uint32_t outputs_;
  int32_t replica_;
  int32_t pending_ = 0;                 // gradients still to come, in a pass over several devices
  bool released_ = false;               // a pass used it up
  std::atomic<Engine*> pass_{nullptr};  // the pass that holds this node
  Tensor arrived_;                      // sum of the gradients for output 0 so far
  std::unique_ptr<Incoming> incoming_;  // the same for further outputs, and for ordered sums
  std::unique_ptr<std::vector<HookEntry>> hooks_;
  Node* next_dead_ = nullptr;
};

inline Ref<Node> as_node(const Ref<TapeSlot>& slot) { return Ref<Node>(static_cast<Node*>(slot.raw())); }
inline Edge edge_of(const Tensor& x) {
  auto& impl = x.impl();
  return impl.slot ? Edge{as_node(impl.slot), impl.slot_index} : Edge{};
}

/// A leaf: the end of the tape at a tensor with attach_grad.
class Leaf final : public Node {
 public:
  Leaf(Stream stream, GradReq request) : Node("leaf", stream, 1), request_(request) {}
  std::span<Edge> edges() noexcept override { return {}; }
  void pull(std::span<const Tensor>, std::span<const bool>, std::span<Tensor>) override {}
  void drop_saved() noexcept override {}
  bool is_leaf() const override { return true; }

  GradReq request() const { return request_; }
  const Tensor& grad() const { return grad_; }
  void set_grad(Tensor grad) noexcept {
    grad_ = std::move(grad);
    ++writes_;
  }
  /// Number of times a gradient was stored or marked stale.
  uint64_t writes() const { return writes_; }
  /// A failed backward pass leaves write-gradients stale until the next one.
  bool stale() const { return stale_; }
  void set_stale(bool stale) noexcept { stale_ = stale; }

 private:
  GradReq request_;
  bool stale_ = false;
  uint64_t writes_ = 0;
  Tensor grad_;
};

/// The leaf of a tensor; null if it has none.
Leaf* leaf_of(const Tensor& x);

/// A value kept for the backward pass. Reading it after an in-place change throws AutogradError naming the operation.
class Saved {
 public:
  explicit Saved(const Tensor& x) : value_(x), version_(x.storage().version()) {}
  operator const Tensor&() const { return get(); }
  const Tensor& get() const {
    if (value_.storage().version() != version_) [[unlikely]]
      changed();
    return value_;
  }

 private:
  [[noreturn]] void changed() const;
  Tensor value_;
  uint32_t version_;
};
inline Saved saved(const Tensor& x) { return Saved(x); }

}  // namespace weft::autograd
