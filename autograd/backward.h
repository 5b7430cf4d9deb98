// backward() and grad(): from losses back to the leaves.
#pragma once

#include <functional>
#include <span>

#include "weft/autograd/node.h"

namespace weft {

struct BackwardOptions {
  Tensors head_grads = {};    ///< one per head, of its shape and dtype; none: ones
  bool retain_graph = false;  ///< keep what the pullbacks need, so that the graph can be used again
  bool create_graph = false;  ///< record the backward pass, for higher derivatives; implies retain_graph
  bool train_mode = true;     ///< is_training() during the pass
};

namespace autograd {

using weft::BackwardOptions;

/// Runs `body(i)` for i = 0 … devices-1, each on a thread of its own bound to devices[i], and returns when all ended. A
/// device on which several ranks recorded is listed as often.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void run(std::span<const Device> devices, const std::function<void(int)>& body) = 0;
};
/// One new thread per device.
class ThreadExecutor final : public Executor {
 public:
  void run(std::span<const Device> devices, const std::function<void(int)>& body) override;
};

/// Adds up the gradients of all heads and stores them in the leaves by their GradReq. One pass: a leaf reached from
/// several heads receives the sum. Stored gradients change only if the whole pass succeeds; if it throws, leaves with
/// GradReq::write are marked stale, those with add stay as before, and the graph is released.
/// Without an executor the pass runs in this thread, whatever the devices; with one, one queue per device. Same bits.
/// Throws AutogradError: nothing tracked, graph already used, head not floating, a head gradient of another shape.
void backward(const Tensors& heads, const BackwardOptions& options = {}, Executor* executor = nullptr);

struct GradOptions {
  Tensors head_grads = {};
  bool retain_graph = false;
  bool create_graph = false;
  bool train_mode = true;
  bool allow_unused = false;  ///< undefined instead of an error for a variable that no head depends on
};

/// The gradients of the sum of heads by each of `variables` (leaves or not); leaves store nothing.
Tensors grad(const Tensors& heads, const Tensors& variables, const GradOptions& options = {},
             Executor* executor = nullptr);

}  // namespace autograd
}  // namespace weft
