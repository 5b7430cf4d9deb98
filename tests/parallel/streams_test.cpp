// Streams that the caller, or a rank, has made current: what others do for it is queued in their order. In the
// simulator a missing order between streams is reported, whatever the numbers.
#include <doctest/doctest.h>

#include <cmath>
#include <thread>

#include "tests/parallel/devices.h"
#include "tests/parallel/ranks.h"
#include "weft/autograd/joint.h"
#include "weft/nn/ema.h"
#include "weft/nn/optim/grad_scaler.h"
#include "weft/tensor/stream_order.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

// A new stream of each device, current while it lives, after what the former ones hold and before what they then do.
class OwnStreams {
 public:
  explicit OwnStreams(const std::vector<Device>& devices) : devices_(devices) {
    for (const Device device : devices_) {
      before_.push_back(current_stream(device));
      guards_.push_back(std::make_unique<StreamGuard>(Stream::create(device)));
      wait_for(current_stream(device), before_.back());
    }
  }
  ~OwnStreams() {
    for (size_t i = devices_.size(); i-- > 0; guards_.pop_back()) {
      try {
        wait_for(before_[i], current_stream(devices_[i]));
      } catch (const Error&) {
        // The device is lost, as the case says by itself.
      }
    }
  }
  OwnStreams(const OwnStreams&) = delete;
  OwnStreams& operator=(const OwnStreams&) = delete;

 private:
  std::vector<Device> devices_;
  std::vector<Stream> before_;
  std::vector<std::unique_ptr<StreamGuard>> guards_;
};

// Where streams of the caller's own come in: nowhere, around forward passes, losses and steps, or around forward passes
// alone.
enum class Where : uint8_t { nowhere, everywhere, forward };

struct Net : nn::Module {
  nn::Conv2d stem{2, 4, {.kernel = 3, .padding = 1}};
  nn::BatchNorm2d norm{4, {.relu = true, .sync = true}};
  nn::Dropout drop{0.2};
  nn::Conv2d head{4, 3, {.kernel = 1}};
  WEFT_MEMBERS(stem, norm, drop, head)
  std::vector<Stream> aside = {};  // of each rank, for its batch norm
  Tensor forward(const Tensor& x) const {
    const Tensor features = stem(x);
    return head(drop(aside.empty() ? norm(features) : norm_aside(features)));
  }
  // As users move work to another stream and back.
  Tensor norm_aside(const Tensor& x) const {
    const Stream here = current_stream(x.device()), there = aside[static_cast<size_t>(current_rank().rank)];
    x.storage().record_stream(there);
    wait_for(there, here);
    Tensor y;
    {
      const StreamGuard on(there);
      y = norm(x * 2) + all_reduce(x.mean());
    }
    wait_for(here, there);
    y.storage().record_stream(here);
    return y;
  }
};

struct Setting {
  std::vector<Device> devices;
  int shares = 0;
  Where where = Where::nowhere;
  bool aside = false;  // batch norm in another way: on the caller's streams, or
  bool apart = false;  // on one of each rank's own
};

std::vector<Device> distinct(std::vector<Device> devices) {
  std::sort(devices.begin(), devices.end());
  devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
  return devices;
}

// Losses, parameters, averages and running statistics of a few steps.
std::vector<float> train(const Setting& s) {
  const GeneratorGuard seeded(Generator(7));
  const auto streams_if = [&s](bool wanted) {
    return wanted ? std::make_unique<OwnStreams>(distinct(s.devices)) : nullptr;
  };
  const auto everywhere = streams_if(s.where == Where::everywhere);
  const DeviceGuard host("cpu");
  const DataParallelOptions options{.shares = s.shares, .allow_duplicates = true};
  Net net;
  const DataParallelModel model(net, s.devices, options);
  if (s.aside)
    for (const Device device : model.devices())
      net.aside.push_back(s.apart ? Stream::create(device) : current_stream(device));
  const DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(), s.devices, options);
  Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.05, .momentum = 0.9}), {.bucket_bytes = 256});
  nn::optim::GradScaler scaler({.init_scale = 8});
  nn::Ema ema(net);
  std::vector<float> result;
  for (int step = 0; step < 3; ++step) {
    const Tensor image = randn({5, 2, 5, 5}), labels = uniform({5, 5, 5}, 0, 3).to(DType::i64);
    PerDevice<Tensor> losses;
    {
      const auto forward = streams_if(s.where == Where::forward);
      const DeviceGuard on_host("cpu");
      const autograd::Record record;
      losses = scaler.scale(criterion(model(image), labels));
    }
    parallel_backward(losses);
    trainer.unscale_grads(scaler);
    trainer.clip_grad_norm(1.5);
    trainer.step(1, scaler);
    scaler.update();
    ema.update();
    result.push_back(static_cast<float>(total(losses)));
  }
  const auto keep = [&result](const Tensor& value) {
    for (const float v : value.to_vector<float>()) result.push_back(v);
  };
  for (const nn::Parameter& p : net.parameters())
    for (int i = 0; i < p.places(); ++i) keep(p.at(i));
  for (const nn::Buffer& b : net.buffers()) keep(b.at(0));
  for (const auto& [name, average] : ema.state()) keep(average.to(DType::f32));
  return result;
}

std::vector<std::vector<Device>> lists_of(DeviceType type) {
  const Device a(type, 0), b(type, 1);
  return {{a, b}, {a, b, a}};
}

// A value that has gone through an operation whose gradient says where it runs.
Tensor watched(const Tensor& x, std::vector<Stream>& seen, const std::vector<Device>& devices) {
  Tensor y = x.detach().clone();
  autograd::record_joint("watched", {&y, 1}, {&x, 1}, [&seen, devices](std::span<const Tensor> dys, auto) {
    for (const Device device : devices) seen.push_back(current_stream(device));
    return Tensors{dys[0].clone()};
  });
  return y;
}

}  // namespace

TEST_SUITE("parallel/streams") {
  TEST_CASE("work for a thread is queued on the thread's streams, on all devices") {
    for (const DeviceType type : kinds(2)) {
      const std::vector<Device> devices = devices_of(type, 2);
      const OwnStreams own(devices);
      const std::vector<Stream> mine{current_stream(devices[0]), current_stream(devices[1])};
      CHECK(mine[0].id != 0);
      const auto streams = [&devices] {
        return std::vector<Stream>{current_stream(devices[0]), current_stream(devices[1])};
      };
      const auto workers = Workers::acquire({devices[0], devices[1], devices[0]});
      for (const auto& seen : apply_on(*workers, {0, 1, 2}, [&](size_t, int) { return streams(); }))
        CHECK(seen == mine);
      for (const int threads : {0, 2}) {
        Parallel<int, std::vector<Stream>> pool(threads, [&](int) { return streams(); }, {.devices = devices});
        for (const auto& seen : pool.map({1, 2, 3})) CHECK(seen == mine);
      }
      std::vector<Stream> seen, hooked;
      const auto pass = [&](autograd::Executor& executor) {
        Tensors losses;
        for (const Device device : devices) {
          Tensor x = ones({2}, {.device = device});
          x.attach_grad();
          const autograd::Record record;
          Tensor y = x * 2;
          if (device == devices[0]) {
            y = watched(y, seen, devices);
            autograd::edge_of(y).node->add_hook(0, [&hooked, &streams](const Tensor&) {
              hooked = streams();
              return Tensor();
            });
          }
          losses.push_back(sum(y));
        }
        autograd::backward(losses, {}, &executor);
      };
      pass(*workers);
      CHECK(std::exchange(seen, {}) == mine);
      CHECK(std::exchange(hooked, {}) == mine);
      autograd::ThreadExecutor threads;
      pass(threads);
      CHECK(seen == mine);
      CHECK(hooked == mine);
    }
  }

  TEST_CASE("training on streams of the caller's own: the bits of default streams") {
    for (const DeviceType type : kinds(2))
      for (const auto& devices : lists_of(type)) {
        CAPTURE(devices.size());
        CHECK(train({.devices = devices, .where = Where::everywhere}) == train({.devices = devices}));
      }
    for (const DeviceType type : kinds(2)) {
      const std::vector<Device> devices = devices_of(type, 2);
      CHECK(train({.devices = devices, .shares = 4, .where = Where::everywhere}) ==
            train({.devices = devices, .shares = 4}));
    }
  }

  TEST_CASE("forward on streams of the caller's own, backward and step on others: the same bits") {
    for (const DeviceType type : kinds(2))
      for (const auto& devices : lists_of(type)) {
        CAPTURE(devices.size());
        CHECK(train({.devices = devices, .where = Where::forward}) == train({.devices = devices}));
      }
  }

  TEST_CASE("ranks meet on streams of their own, also several of one device: the same bits") {
    for (const DeviceType type : kinds(2))
      for (const auto& devices : lists_of(type)) {
        CAPTURE(devices.size());
        const std::vector<float> expected = train({.devices = devices, .aside = true});
        for (const Where where : {Where::nowhere, Where::everywhere})
          CHECK(train({.devices = devices, .where = where, .aside = true, .apart = true}) == expected);
      }
  }

  TEST_CASE("a rank changes what it brought to a meeting, on its own stream: after the others' work with it") {
    for (const DeviceType type : kinds(2)) {
      const std::vector<Device> devices = lists_of(type)[1];
      Tensors x;
      for (size_t i = 0; i < devices.size(); ++i)
        x.push_back(full({300}, 1 + static_cast<double>(i), {.device = devices[i]}));
      std::vector<Stream> own;
      for (const Device device : devices) own.push_back(Stream::create(device));
      const auto sums = on_ranks(devices, x, [&](int rank, const Tensor& v) {
        const Stream here = current_stream(v.device()), mine = own[static_cast<size_t>(rank)];
        wait_for(mine, here);
        Tensor sum;
        {
          const StreamGuard on(mine);
          sum = reduce(v, 1);
          Tensor(v).fill_(9);
        }
        wait_for(here, mine);
        return sum;
      });
      CHECK(sums[1].to_vector<float>() == std::vector<float>(300, 6));
    }
  }

  TEST_CASE("a rank's own backward pass on another stream than its forward pass: the same gradients") {
    for (const DeviceType type : kinds(2)) {
      const std::vector<Device> devices = lists_of(type)[1];
      std::vector<Stream> aside;
      for (const Device device : devices) aside.push_back(Stream::create(device));
      const auto gradients = [&](bool apart) {
        Tensors x;
        for (size_t i = 0; i < devices.size(); ++i)
          x.push_back(full({3}, 1.5 + static_cast<double>(i), {.device = devices[i]}));
        std::vector<std::vector<float>> values;
        for (const Tensor& dx : on_ranks(devices, x, [&](int rank, const Tensor&v) {
               Tensor mine = v.clone();
               mine.attach_grad();
               const Stream here = current_stream(v.device());
               Tensor loss;
               {
                 const StreamGuard on(apart ? aside[static_cast<size_t>(rank)] : here);
                 wait_for(current_stream(), here);
                 mine.storage().record_stream(current_stream());
                 const autograd::Record record;
                 loss = sum(all_reduce(mine * mine) * mine);
                 wait_for(here, current_stream());
               }
               loss.backward();
               return mine.grad();
             }))
          values.push_back(dx.to_vector<float>());
        return values;
      };
      CHECK(gradients(true) == gradients(false));
    }
  }

  TEST_CASE("an item put on one stream and fetched on another") {
    for (const DeviceType type : kinds(2)) {
      const std::vector<Device> devices = devices_of(type, 2);
      const Stream own[] = {Stream::create(devices[0]), Stream::create(devices[1])};
      Parallel<Tensor, std::pair<Tensor, int>> pool(2, [](const Tensor& x) { return std::pair(exp(x) + x * 2, 1); },
                                                    {.devices = devices});
      const auto put = [&](int i) {
        const StreamGuard first(own[0]), second(own[1]);
        pool.put(full({300}, i % 6, {.device = devices[static_cast<size_t>(i % 2)]}));
      };
      std::thread([&] {
        for (int i = 0; i < 6; ++i) put(i);
      }).join();
      Tensors found;
      for (int i = 0; i < 12; ++i) {
        found.push_back(pool.get().first * 10);  // the result's memory goes while this is still to be done
        if (i < 6) put(i);
      }
      for (int i = 0; i < 12; ++i)
        CHECK(found[static_cast<size_t>(i)].to_vector<float>()[299] ==
              doctest::Approx((std::exp(i % 6) + 2 * (i % 6)) * 10));
    }
  }
}
