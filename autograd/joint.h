// Joint nodes whose inputs and outputs belong to ranks of a group. A pass over all of them, by a thread that is no
// rank, treats them like any other node. In a rank's own backward() the pass parks there until the passes of the other
// ranks have arrived; the last one runs the pullback for all, and each goes on with the gradients of its own inputs.
#pragma once

#include "weft/autograd/record.h"
#include "weft/tensor/group.h"

namespace weft::autograd {

/// Which rank each output and each input belongs to.
struct JointRanks {
  uint64_t group = 0;  ///< Group::id(); 0: no group, an ordinary joint node
  std::vector<int> outputs, inputs;

  /// As many outputs, and as many inputs, for each rank of `group`, in order of rank.
  static JointRanks alike(const Group& group, size_t outputs, size_t inputs);
};

/// record_pullback, with the node marked.
void record_pullback(const char* name, std::span<Tensor> outputs, std::span<const Tensor> inputs,
                     std::unique_ptr<Pullback> pullback, JointRanks ranks);
/// The same with a lambda (dys, wanted) -> dxs.
template <class F>
void record_joint(const char* name, std::span<Tensor> outputs, std::span<const Tensor> inputs, F pullback,
                  JointRanks ranks) {
  record_pullback(name, outputs, inputs, std::make_unique<detail::PullbackClosure<F>>(std::move(pullback)),
                  std::move(ranks));
}

/// The mark of a node; null if it has none.
const JointRanks* joint_ranks(const Node& node) noexcept;

}  // namespace weft::autograd
