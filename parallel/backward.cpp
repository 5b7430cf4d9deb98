#include "weft/parallel/backward.h"

#include <algorithm>

#include "weft/parallel/worker.h"

namespace weft::parallel {

void detail::run_backward(const Tensors& heads, const std::vector<Device>& devices,
                          const std::shared_ptr<Workers>& workers, const ParallelBackwardOptions& options) {
  std::vector<Device> used = devices;
  if (used.empty())
    for (const Tensor& head : heads)
      if (std::find(used.begin(), used.end(), head.device()) == used.end()) used.push_back(head.device());
  std::shared_ptr<Workers> executor = workers;
  if (!executor && used.size() > 1) executor = Workers::acquire(used);
  const bool inline_pass = Worker::is_current();
  autograd::backward(
      heads,
      {.head_grads = options.head_grads, .retain_graph = options.retain_graph, .create_graph = options.create_graph},
      inline_pass ? nullptr : executor.get());
  if (options.sync)
    for (const Device device : used) current_stream(device).synchronize();
}

double total(const PerDevice<Tensor>& losses) {
  double sum = 0;
  for (const Tensor& loss : losses) sum += loss.item<double>();
  return sum;
}

}  // namespace weft::parallel
