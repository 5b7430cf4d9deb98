// A device that can have no further stream, and so none for sums of gradients beside its other work.
#include "tests/cuda_sim/failure.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("a stream of sums that cannot be made: the step says so, and workers keep the streams they had") {
  const Afresh afresh;
  const Device first = "cuda:0", last = "cuda:1";
  const std::vector<Device> devices{first, first, last};
  seed(9);
  const DeviceGuard host("cpu");
  Net net;
  const parallel::DataParallelOptions options{.allow_duplicates = true};
  const parallel::DataParallelModel model(net, devices, options);
  const parallel::DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(), devices, options);
  parallel::Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.1}));
  const std::string full = error_of([&] {
    for (;;) Stream::create(last);
  });
  CHECK(has(full, "create stream: cuda:1 has 1024 streams already"));
  const auto step = [&] {
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(Training::images()), Training::classes());
    }
    parallel::parallel_backward(losses);
    trainer.step();
  };
  CHECK(error_of(step).empty());  // the first sums nothing in advance
  CHECK(error_of(step) == full);
  parallel::Workers::acquire(devices)->run_all([&](int) {
    for (const Device device : devices) CHECK(current_stream(device) == Stream{device});
  });
  CHECK(reports() == "");
}
