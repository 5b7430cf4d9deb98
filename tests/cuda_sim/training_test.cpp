// A data-parallel training of a small segmentation net on four simulated devices gives the same bits whatever the order
// in which their streams run, and the same as on one and two devices where the batch is cut into the same shares.
#include <doctest/doctest.h>

#include <string>

#include "tests/cuda_sim/sim.h"
#include "weft/nn/nn.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/random.h"

using namespace weft;

namespace {

struct Net : nn::Module {
  nn::Conv2d conv{1, 4, {.kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d norm{4, {.relu = true, .sync = true}};
  nn::Dropout dropout{0.1};
  nn::Conv2d head{4, 3, {.kernel = 1}};
  WEFT_MEMBERS(conv, norm, dropout, head)
  Tensor forward(const Tensor& x) const { return head(dropout(norm(conv(x)))); }
};

// All parameters after `steps` steps, one after the other, as they are on the last device.
std::vector<float> trained(const std::vector<Device>& devices, int shares, int steps) {
  const GeneratorGuard seed(Generator(5));
  const DeviceGuard host("cpu");
  const Tensor x = randn({5, 1, 6, 6}), y = uniform({5, 6, 6}, 0, 3).to(DType::i64);  // uneven shares
  Net net;
  const parallel::DataParallelOptions options{.shares = shares};
  parallel::DataParallelModel model(net, devices, options);
  parallel::DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(), devices, options);
  parallel::Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.1, .momentum = 0.9}));
  for (int step = 0; step < steps; ++step) {
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(x), y);
    }
    parallel::parallel_backward(losses);
    trainer.step();
  }
  std::vector<float> values;
  for (const nn::Parameter& p : net.parameters())
    for (const float v : p.at(p.places() - 1).to("cpu").to_vector<float>()) values.push_back(v);
  return values;
}

std::vector<Device> cuda_devices(int count) {
  std::vector<Device> devices;
  for (int i = 0; i < count; ++i) devices.push_back(Device(DeviceType::cuda, i));
  return devices;
}

class ScheduleGuard {
 public:
  ScheduleGuard() : before_(sim::schedule()) {}
  ~ScheduleGuard() { sim::set_schedule(before_); }
  ScheduleGuard(const ScheduleGuard&) = delete;
  ScheduleGuard& operator=(const ScheduleGuard&) = delete;

 private:
  sim::Schedule before_;
};

}  // namespace

TEST_CASE("training on four simulated devices: the same bits under 5 policies x 3 seeds") {
  const ScheduleGuard guard;
  sim::set_schedule({});
  const std::vector<float> expected = trained(cuda_devices(4), 0, 2);
  int runs = 0;
  for (const char* policy : {"fifo", "newest", "random", "starve:1", "pct:3"})
    for (const uint64_t seed : {1, 2, 3}) {
      sim::set_schedule(
          {.policy = policy, .seed = seed, .threads = sim::Order::shuffled, .blocks = sim::Order::shuffled});
      CAPTURE(std::string(policy));
      CAPTURE(seed);
      CHECK(trained(cuda_devices(4), 0, 2) == expected);
      ++runs;
    }
  MESSAGE(runs, " schedules of four devices, ", expected.size(), " parameters, all bits equal");
}

TEST_CASE("training in four shares: the same bits on 1, 2 and 4 simulated devices") {
  const std::vector<float> expected = trained(cuda_devices(4), 4, 2);
  CHECK(trained(cuda_devices(2), 4, 2) == expected);
  CHECK(trained(cuda_devices(1), 4, 2) == expected);
}
