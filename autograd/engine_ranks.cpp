// A rank's own backward pass at the joint nodes of its group: where it parks, and what is done for all (joint.h).
#include "weft/autograd/engine.h"

namespace weft::autograd {

// Where a rank's own pass waits for the others': at joint nodes of its group.
const JointRanks* Engine::parks_at(const Node* node) const noexcept {
  if (!rank_.group) return nullptr;
  const JointRanks* ranks = joint_ranks(*node);
  return ranks && ranks->group == rank_.group->id() ? ranks : nullptr;
}

// This rank's part of a joint node: gradients of its outputs in, of its inputs out. What one rank throws, or that it
// leaves, all learn.
void Engine::pull_with_others(Node* node, const JointRanks& ranks, const Tensors& dys, std::span<Tensor> dxs) {
  WEFT_CHECK(AutogradError, !options_.create_graph, "backward of ", node->name(),
             ": create_graph in a rank's own backward pass; take higher derivatives in one pass over all ranks, with "
             "grad() or parallel_backward() outside");
  Tensors mine;
  for (size_t i = 0; i < dys.size(); ++i)
    if (ranks.outputs[i] == rank_.rank) mine.push_back(dys[i]);
  const bool release = !options_.retain_graph;
  const std::string what = weft::detail::concat("backward of ", node->name(), " (operation ", node->number(),
                                                release ? ")" : ", graph retained)");
  Tensors own = rank_.group->meet(rank_.rank, what, std::move(mine), [&](std::span<const Tensors> deposits) {
    return pull_for_all(node, ranks, deposits, release);
  });
  size_t next = 0;
  for (size_t i = 0; i < dxs.size(); ++i)
    if (ranks.inputs[i] == rank_.rank) dxs[i] = std::move(own[next++]);
}

std::vector<Tensors> Engine::pull_for_all(Node* node, const JointRanks& ranks, std::span<const Tensors> deposits,
                                          bool release) {
  const DeviceGuard device(node->stream().device);
  const std::span<Edge> edges = node->edges();
  Tensors dys, dxs(edges.size());
  std::vector<size_t> next(deposits.size());
  bool arrived = false;
  for (const int rank : ranks.outputs) {
    const auto r = static_cast<size_t>(rank);
    dys.push_back(deposits[r][next[r]++]);
    arrived |= dys.back().defined();
  }
  const auto wanted = std::make_unique<bool[]>(edges.size());
  for (size_t i = 0; i < edges.size(); ++i) wanted[i] = static_cast<bool>(edges[i].node);
  if (arrived) node->pull(dys, {wanted.get(), edges.size()}, dxs);
  if (release) {
    node->released_ = true;
    node->drop_saved();
  }
  std::vector<Tensors> gradients(deposits.size());
  for (size_t i = 0; i < dxs.size(); ++i) gradients[static_cast<size_t>(ranks.inputs[i])].push_back(std::move(dxs[i]));
  return gradients;
}

}  // namespace weft::autograd
