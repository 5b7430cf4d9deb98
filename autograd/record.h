// record(): puts an operation on the tape.
//
//   // c = a b;   da = dc bT,   db = aT dc
//   Tensor matmul(const Tensor& a, const Tensor& b) {
//     Tensor c = ops::matmul(a, b);
//     if (!tracked(a, b)) return c;
//     return record("matmul", c,
//                   edge(a, [b = saved(b)](const Tensor& dc) { return matmul(dc, transpose(b)); }),
//                   edge(b, [a = saved(a)](const Tensor& dc) { return matmul(transpose(a), dc); }));
//   }
//
// A closure may take (dy) or (dy, y): y is the operation's own output, kept by the node without a cycle. Closures
// return new gradients of exactly the input's shape and call recorded operations, so second derivatives follow. For an
// input that is not tracked the closure is dropped at once and keeps nothing alive.
#pragma once

#include <array>
#include <optional>
#include <tuple>
#include <type_traits>

#include "weft/autograd/node.h"
#include "weft/autograd/record_scope.h"

namespace weft::autograd {

/// True if this thread records and at least one of the tensors is tracked.
template <class... T>
bool tracked(const T&... inputs) {
  return is_recording() && ((inputs.defined() && inputs.requires_grad()) || ...);
}

/// An input of an operation and the closure that pulls its gradient: made by edge().
template <class F>
struct EdgeClosure {
  const Tensor& input;
  F pull;
};
template <class F>
EdgeClosure<F> edge(const Tensor& input, F pull) {
  return {input, std::move(pull)};
}

namespace detail {
/// The output as the pullback sees it: the values of y with the tape position of the node.
class OwnOutput {
 public:
  void keep(const Tensor& y) {
    value_ = y.detach();
    version_ = y.storage().version();
  }
  void drop() noexcept { value_ = Tensor(); }
  Tensor attach(Node& node) const;

 private:
  Tensor value_;
  uint32_t version_ = 0;
};
void attach_output(Tensor& y, Node* node, uint32_t index);

template <class... F>
class ClosureNode final : public Node {
  static constexpr bool uses_output = (std::is_invocable_v<F&, const Tensor&, const Tensor&> || ...);
  using Indices = std::index_sequence_for<F...>;
  struct Nothing {};

 public:
  ClosureNode(const char* name, const Tensor& y, EdgeClosure<F>&... closures)
      : Node(name, current_stream(y.device()), 1), edges_{edge_of(closures.input)...} {
    keep(Indices{}, closures...);
    if constexpr (uses_output) own_.keep(y);
  }

  std::span<Edge> edges() noexcept override { return edges_; }
  void pull(std::span<const Tensor> dys, std::span<const bool> wanted, std::span<Tensor> dxs) override {
    pull_each(Indices{}, dys[0], wanted, dxs);
  }
  void drop_saved() noexcept override {
    std::apply([](auto&... closure) { (closure.reset(), ...); }, closures_);
    if constexpr (uses_output) own_.drop();
  }

 private:
  template <size_t... I>
  void keep(std::index_sequence<I...>, EdgeClosure<F>&... from) {
    ((edges_[I].node ? (void)std::get<I>(closures_).emplace(std::move(from.pull)) : void()), ...);
  }
  template <size_t... I>
  void pull_each(std::index_sequence<I...>, const Tensor& dy, std::span<const bool> wanted, std::span<Tensor> dxs) {
    ((wanted[I] ? void(dxs[I] = pull_one(*std::get<I>(closures_), dy)) : void()), ...);
  }
  template <class Closure>
  Tensor pull_one(Closure& closure, const Tensor& dy) {
    if constexpr (std::is_invocable_v<Closure&, const Tensor&, const Tensor&>)
      return closure(dy, own_.attach(*this));
    else
      return closure(dy);
  }

  std::array<Edge, sizeof...(F)> edges_;
  std::tuple<std::optional<F>...> closures_;
  [[no_unique_address]] std::conditional_t<uses_output, OwnOutput, Nothing> own_;
};
}  // namespace detail

/// Records that `y`, a new tensor, came out of the operation `name`; returns it tracked. Call only if tracked(inputs…).
template <class... F>
Tensor record(const char* name, Tensor y, EdgeClosure<F>... closures) {
  detail::attach_output(y, new detail::ClosureNode<F...>(name, y, closures...), 0);
  return y;
}

/// The general pullback, for operations with several outputs or gradients that are computed together.
/// dys: one per output, undefined where none arrived; returns one per input, undefined where wanted is false.
class Pullback {
 public:
  virtual ~Pullback() = default;
  virtual Tensors pull(std::span<const Tensor> dys, std::span<const bool> wanted) = 0;
};
/// Outputs and inputs may lie on several devices (a joint node). Outputs that no gradient can reach may be integer.
void record_pullback(const char* name, std::span<Tensor> outputs, std::span<const Tensor> inputs,
                     std::unique_ptr<Pullback> pullback);

namespace detail {
template <class F>
struct PullbackClosure final : Pullback {
  explicit PullbackClosure(F f) : function(std::move(f)) {}
  Tensors pull(std::span<const Tensor> dys, std::span<const bool> wanted) override { return function(dys, wanted); }
  F function;
};
}  // namespace detail

/// The same with a lambda (dys, wanted) -> dxs.
template <class F>
void record_joint(const char* name, std::span<Tensor> outputs, std::span<const Tensor> inputs, F pullback) {
  record_pullback(name, outputs, inputs, std::make_unique<detail::PullbackClosure<F>>(std::move(pullback)));
}

}  // namespace weft::autograd
