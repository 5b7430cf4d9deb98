#include "weft/autograd/node.h"

#include "weft/autograd/incoming.h"
#include "weft/autograd/record.h"
#include "weft/autograd/running.h"
#include "weft/tensor/group.h"

namespace weft::autograd {

namespace {

std::atomic<uint64_t> next_number{1};

// Nodes of this thread whose last reference went while another was being deleted.
struct Graveyard {
  Node* first = nullptr;
  bool digging = false;
};
Graveyard& graveyard() noexcept {
  static constinit thread_local Graveyard instance;
  return instance;
}

}  // namespace

const char*& running_operation() noexcept {
  static constinit thread_local const char* name = "";
  return name;
}

Node::Node(const char* name, Stream stream, uint32_t outputs)
    : name_(name),
      number_(next_number.fetch_add(1, std::memory_order_relaxed)),
      stream_(stream),
      outputs_(outputs),
      replica_(current_rank().replica) {}

Node::~Node() = default;

void Node::add_hook(uint32_t output, Hook hook) {
  if (!hooks_) hooks_ = std::make_unique<std::vector<HookEntry>>();
  hooks_->push_back({output, std::move(hook)});
}

void Node::dispose() noexcept {
  Graveyard& yard = graveyard();
  next_dead_ = yard.first;
  yard.first = this;
  if (yard.digging) return;
  yard.digging = true;
  while (Node* node = yard.first) {
    yard.first = node->next_dead_;
    delete node;  // lets go of its inputs, which are queued here rather than deleted within
  }
  yard.digging = false;
}

Leaf* leaf_of(const Tensor& x) {
  if (!x.defined() || !x.impl().slot) return nullptr;
  auto* node = static_cast<Node*>(x.impl().slot.raw());
  return node->is_leaf() ? static_cast<Leaf*>(node) : nullptr;
}

namespace {

[[noreturn]] void fail_changed(const Tensor& value, uint32_t version, const char* what) {
  fail<AutogradError>("backward of ", running_operation(), ": its saved ", what, " (", value.shape(), ", ",
                      value.device(), ") was changed in place by '", value.storage().last_writer(),
                      "' after the forward pass (version ", value.storage().version(), ", saved ", version,
                      "); use a copy");
}

}  // namespace

void Saved::changed() const { fail_changed(value_, version_, "input"); }

Tensor detail::OwnOutput::attach(Node& node) const {
  if (value_.storage().version() != version_) fail_changed(value_, version_, "output");
  if (!is_recording()) return value_;
  Tensor y = value_.detach();
  attach_output(y, &node, 0);
  return y;
}

void detail::attach_output(Tensor& y, Node* node, uint32_t index) {
  y.impl().slot = Ref<TapeSlot>(node);
  y.impl().slot_index = index;
}

}  // namespace weft::autograd
