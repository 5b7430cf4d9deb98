#include "weft/parallel/backward.h"

#include <algorithm>

#include "weft/parallel/worker.h"
#include "weft/tensor/collective.h"

namespace weft::parallel {

namespace {

// Collectives of the pass, and of the forward pass, end before gradients are stored: what one has lost is no gradient.
class FinishingExecutor final : public autograd::Executor {
 public:
  explicit FinishingExecutor(Executor& inner) : inner_(inner) {}
  void run(std::span<const Device> devices, const std::function<void(int)>& body) override {
    inner_.run(devices, body);
    finish_collectives(devices);
  }

 private:
  Executor& inner_;
};

}  // namespace

void detail::run_backward(const Tensors& heads, const std::vector<Device>& devices,
                          const std::shared_ptr<Workers>& workers, const ParallelBackwardOptions& options) {
  std::vector<Device> used = devices;
  if (used.empty())
    for (const Tensor& head : heads)
      if (std::find(used.begin(), used.end(), head.device()) == used.end()) used.push_back(head.device());
  std::shared_ptr<Workers> executor = workers;
  if (!executor && used.size() > 1) executor = Workers::acquire(used);
  std::unique_ptr<FinishingExecutor> finishing;
  if (executor && options.sync) finishing = std::make_unique<FinishingExecutor>(*executor);
  autograd::Executor* chosen = finishing ? static_cast<autograd::Executor*>(finishing.get()) : executor.get();
  autograd::backward(
      heads,
      {.head_grads = options.head_grads, .retain_graph = options.retain_graph, .create_graph = options.create_graph},
      Worker::is_current() ? nullptr : chosen);
  if (options.sync)
    for (const Device device : used) current_stream(device).synchronize();
}

double total(const PerDevice<Tensor>& losses) {
  double sum = 0;
  for (const Tensor& loss : losses) sum += loss.item<double>();
  return sum;
}

}  // namespace weft::parallel
