// parallel_backward: one backward pass over the losses of all devices.
#pragma once

#include <tuple>

#include "weft/autograd/backward.h"
#include "weft/parallel/workers.h"
#include "weft/tensor/per_device.h"

namespace weft::parallel {

struct ParallelBackwardOptions {
  bool sync = false;        ///< also wait for the devices; same bits either way
  Tensors head_grads = {};  ///< one per tensor of the losses; none: ones
  bool retain_graph = false;
  bool create_graph = false;
};

namespace detail {
inline void flatten(const Tensor& loss, Tensors& heads) { heads.push_back(loss); }
template <class T>
void flatten(const std::vector<T>& losses, Tensors& heads) {
  for (const T& loss : losses) flatten(loss, heads);
}
template <class... T>
void flatten(const std::tuple<T...>& losses, Tensors& heads) {
  std::apply([&](const auto&... loss) { (flatten(loss, heads), ...); }, losses);
}
void run_backward(const Tensors& heads, const std::vector<Device>& devices, const std::shared_ptr<Workers>& workers,
                  const ParallelBackwardOptions& options);
}  // namespace detail

/// The gradients of the sum of all entries, in one pass: each device's part runs on that device's worker, and a leaf
/// reached from several losses receives their sum. Entries are tensors, or vectors and tuples of them. On failure
/// nothing is stored: see autograd::backward. In a worker the pass runs inline.
template <class T>
void parallel_backward(const PerDevice<T>& losses, const ParallelBackwardOptions& options = {}) {
  Tensors heads;
  for (const T& loss : losses) detail::flatten(loss, heads);
  detail::run_backward(heads, losses.devices(), std::static_pointer_cast<Workers>(losses.origin()), options);
}

/// The same for losses on any devices.
inline void parallel_backward(const Tensors& losses, const ParallelBackwardOptions& options = {}) {
  detail::run_backward(losses, {}, nullptr, options);
}

/// What the entries add up to: the loss of the batch, on the host. Waits for the devices.
double total(const PerDevice<Tensor>& losses);

}  // namespace weft::parallel
