// LeafObserver: is told, while a backward pass over several devices still runs, which leaves have received all that the
// pass has for them. Whoever sums gradients over devices can begin with those.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "weft/autograd/node.h"

namespace weft::autograd {

/// Told of passes that store gradients, have an executor and nodes in several places, and do not create a graph; of
/// leaves that ask for GradReq::write and have no hooks. Passes are numbered as they start, from 1.
class LeafObserver {
 public:
  virtual ~LeafObserver() = default;
  /// The leaf's gradient is complete: computed on the current stream of its device, and what the leaf will hold if the
  /// pass succeeds. Called in the worker that had the last contribution, from several at a time, before the pass ends.
  virtual void ready(uint64_t pass, const Leaf& leaf, const Tensor& gradient) noexcept = 0;
  /// The pass failed, and stores nothing that ready() told of. Called in its thread when no worker runs it any more.
  virtual void failed(uint64_t pass) noexcept = 0;
};

/// Has passes that start from now on tell the observer, as long as it lives. Thread-safe.
void observe_leaves(const std::shared_ptr<LeafObserver>& observer);
/// Those that live.
std::vector<std::shared_ptr<LeafObserver>> leaf_observers();

}  // namespace weft::autograd
