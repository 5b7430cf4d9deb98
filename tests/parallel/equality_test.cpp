// The same training on 1, 2, 3 and 4 devices: 50 steps of a convolutional net with sync batch norm, dropout, an
// auxiliary loss, ignored labels, and batches of every size. And the same bits however threads are delayed.
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <random>
#include <thread>

#include "tests/parallel/devices.h"
#include "tests/support/array.h"
#include "weft/autograd/record.h"
#include "weft/nn/nn.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/operators.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

std::atomic<bool> delays{false};

// Lets the calling thread fall behind by up to 300 us, differently in every run.
void stumble() {
  if (!delays) return;
  thread_local std::minstd_rand random{std::random_device{}()};
  std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
}

// Changes nothing, late: forward and backward.
Tensor late(const Tensor& x) {
  stumble();
  Tensor y = x.clone().detach();
  if (autograd::tracked(x))
    autograd::record_joint("late", {&y, 1}, {&x, 1}, [](std::span<const Tensor> dys, std::span<const bool>) {
      stumble();
      return Tensors{dys[0].clone()};
    });
  return y;
}

struct Net : nn::Module {
  nn::Conv2d stem{2, 6, {.kernel = 3, .padding = 1}};
  nn::BatchNorm2d norm{6, {.relu = true, .sync = true}};
  nn::Conv2d body{6, 6, {.kernel = 3, .stride = 2, .padding = 1}};
  nn::BatchNorm2d norm2{6, {.relu = true, .sync = true}};
  nn::Dropout drop{0.25};
  nn::Conv2d head{6, 3, {.kernel = 1}};
  nn::Conv2d aux{6, 3, {.kernel = 1}};
  WEFT_MEMBERS(stem, norm, body, norm2, drop, head, aux)
  std::tuple<Tensor, Tensor> forward(const Tensor& x) const {
    const Tensor features = late(norm(late(stem(x))));
    const Tensor deep = late(norm2(body(features)));
    return {head(drop(deep)), aux(deep)};
  }
};

struct Run {
  std::vector<double> losses;
  std::vector<std::vector<float>> values;  // parameters and running statistics
  bool copies_agree = true;
  int64_t taken = 0;  // collectives that the devices' communicator took
  friend bool operator==(const Run& a, const Run& b) { return a.losses == b.losses && a.values == b.values; }
};

double difference(const Run& a, const Run& b) {
  double most = 0;
  for (size_t k = 0; k < a.values.size(); ++k)
    for (size_t i = 0; i < a.values[k].size(); ++i)
      most = std::max(most, std::fabs(static_cast<double>(a.values[k][i]) - b.values[k][i]));
  for (size_t k = 0; k < a.losses.size(); ++k) most = std::max(most, std::fabs(a.losses[k] - b.losses[k]));
  return most;
}

// Batches of 1 to 9 samples; every fifth label is ignored.
Run train(const std::vector<Device>& devices, const DataParallelOptions& options, int steps) {
  seed(7);
  Net net;
  const DataParallelModel model(net, devices, wrapped(options));
  const DataParallelCriterion criterion(nn::MixSoftmaxCrossEntropyLoss(0.4), devices, wrapped(options));
  Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.03, .momentum = 0.9, .weight_decay = 1e-3}));
  Dice dice(5);
  Run run;
  run.taken = -collectives_taken(devices[0].type);
  for (int step = 0; step < steps; ++step) {
    const int64_t batch = step % 4 == 3 ? dice.integer(1, 3) : dice.integer(4, 9);
    const Tensor image = randn({batch, 2, 6, 6});
    std::vector<int64_t> labels(static_cast<size_t>(batch * 9));
    for (int64_t& label : labels) label = dice.integer(0, 4) == 0 ? -1 : dice.integer(0, 2);
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(image), tensor(labels, {batch, 3, 3}));
    }
    parallel_backward(losses);
    trainer.step();
    run.losses.push_back(total(losses));
  }
  run.taken += collectives_taken(devices[0].type);
  const auto keep = [&run](const auto& placed) {
    run.values.push_back(placed.at(0).template to_vector<float>());
    for (int i = 1; i < placed.places(); ++i)
      run.copies_agree &= placed.at(i).template to_vector<float>() == run.values.back();
  };
  for (const nn::Parameter& p : net.parameters()) keep(p);
  for (const nn::Buffer& b : net.buffers()) keep(b);
  return run;
}

// Small whole numbers everywhere: a convolution, a max, a product; three steps stay exact.
struct Whole : nn::Module {
  nn::Conv2d conv{1, 2, {.kernel = 3, .padding = 1}};
  nn::Conv2d head{2, 1, {.kernel = 1}};
  WEFT_MEMBERS(conv, head)
  Whole() {
    Dice dice(3);
    for (const nn::Parameter& p : parameters()) {
      std::vector<float> values(static_cast<size_t>(p.numel()));
      for (float& v : values) v = static_cast<float>(dice.integer(-2, 2));
      p.set(tensor(values, p.shape()));
    }
  }
  Tensor forward(const Tensor& x) const { return head(relu(conv(x))); }
};

Run train_whole(const std::vector<Device>& devices, int64_t batch) {
  Whole net;
  const DataParallelModel model(net, devices, wrapped());
  Run run;
  Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
  const Tensor x = arange(0, static_cast<double>(batch * 16)).reshape({batch, 1, 4, 4});
  for (int step = 0; step < 3; ++step) {
    PerDevice<Tensor> losses;
    Tensors sums;
    const PerDevice<Tensor> targets = split_and_load(ones({batch, 1, 4, 4}), devices, 0, false);
    {
      const autograd::Record record;
      const PerDevice<Tensor> y = model(x);
      for (int i = 0; i < y.size(); ++i) {
        const DeviceGuard on(y.device(i));
        sums.push_back((y[i] * targets[i]).sum());
      }
      losses = PerDevice<Tensor>(y.devices(), sums);
    }
    parallel_backward(losses);
    trainer.allreduce_grads();
    for (const nn::Parameter& p : net.parameters()) run.values.push_back(p.grad_at(0).to_vector<float>());
    for (const nn::Parameter& p : net.parameters())  // keeps values small: the sign of the gradient
      for (int i = 0; i < p.places(); ++i) {
        std::vector<float> signs;
        for (const float g : p.grad_at(i).to_vector<float>()) signs.push_back(g > 0 ? 1.f : g < 0 ? -1.f : 0.f);
        p.grad_at(i).copy_(tensor(signs, p.shape()));
      }
    trainer.update();
    run.losses.push_back(total(losses));
  }
  return run;
}

}  // namespace

TEST_SUITE("parallel/equality") {
  TEST_CASE("real data: 1 to 4 devices agree to the order of sums over 50 steps") {
    for (const DeviceType type : kinds()) {
      const int steps = natively_or(type, 50, 4);
      const Run one = train(devices_of(type, 1), {}, steps);
      CHECK(one.losses.back() < one.losses.front());
      for (const int n : {2, 3, 4}) {
        CAPTURE(n);
        const Run several = train(devices_of(type, n), {}, steps);
        CHECK(several.copies_agree);
        CHECK((several.taken > 0) == (has_communicator(type) && distinct(type, n)));
        CHECK(difference(several, one) < 1e-3);
      }
    }
  }

  TEST_CASE("real data, 4 shares: equal bits on 1, 2 and 4 devices over 50 steps") {
    for (const DeviceType type : kinds()) {
      const int steps = natively_or(type, 50, 3);
      const Run one = train(devices_of(type, 1), {.shares = 4}, steps);
      for (const int n : {2, 4}) {
        CAPTURE(n);
        const Run several = train(devices_of(type, n), {.shares = 4}, steps);
        CHECK(several.copies_agree);
        CHECK((several.taken > 0) == (has_communicator(type) && distinct(type, n)));
        CHECK(several == one);
      }
    }
  }

  TEST_CASE("whole numbers: equal bits on 1 to 4 devices, batches down to one sample") {
    for (const DeviceType type : kinds())
      for (const int64_t batch : {1, 2, 3, 5, 8}) {
        CAPTURE(batch);
        const Run one = train_whole(devices_of(type, 1), batch);
        for (const int n : {2, 3, 4}) CHECK(train_whole(devices_of(type, n), batch) == one);
      }
  }

  TEST_CASE("threads delayed at random: the same bits after 50 steps") {
    for (const DeviceType type : kinds())
      for (const DataParallelOptions& options : {DataParallelOptions{}, DataParallelOptions{.shares = 4}}) {
        const std::vector<Device> devices = devices_of(type, 4);
        const int steps = natively_or(type, 50, 3);
        const Run calm = train(devices, options, steps);
        delays = true;
        const Run first = train(devices, options, steps), second = train(devices, options, steps);
        delays = false;
        CHECK(first == calm);
        CHECK(second == calm);
      }
  }
}
