// Defects D22 to D30 of the original's backward, trainer and losses: weft does better, the original does not.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/parallel/devices.h"
#include "tests/parallel/original.h"
#include "weft/autograd/function.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/nn/loss.h"
#include "weft/nn/module.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;
using original::Value;
using original::Values;

namespace {

struct Weight : nn::Module {
  nn::Parameter w{ones({1})};
  WEFT_MEMBERS(w)
};

// factor * w on w's device.
Tensor loss_of(const Tensor& w, double factor) {
  const autograd::Record record;
  return (w * factor).sum();
}
Tensor failing_loss(const Tensor& w) {
  const autograd::Record record;
  const Tensor y = w * 3.0;
  autograd::as_node(y.impl().slot)->add_hook(0, [](const Tensor&) -> Tensor { throw Error("broken"); });
  return y.sum();
}

float value(const Tensor& x) { return x.item<float>(); }

std::vector<Device> devices() { return devices_here(2); }

// The gradient of the mean of w x over a batch that is split over n devices, as the trainer applies it.
float our_gradient(int n) {
  struct Net : Weight {
    Tensor forward(const Tensor& x) const { return x * w.on(x.device()); }
  } net;
  const DataParallelModel model(net, devices_here(n), wrapped());
  const DataParallelCriterion mean([](const Tensor& y) { return y.mean(); }, devices_here(n), wrapped());
  PerDevice<Tensor> losses;
  {
    const autograd::Record record;
    losses = mean(model(arange(1, 5)));
  }
  parallel_backward(losses);
  Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
  trainer.step();
  return 1 - value(net.w.at(0));
}
float their_gradient(int n) {
  original::Parameter w(ones({1}));
  original::Module net{[&](const Values& a, const Value&) -> Value { return a[0].tensor * w.on(a[0].tensor.device()); },
                       {&w}};
  original::Module mean{[](const Values& a, const Value&) -> Value { return a[0].tensor.mean(); }};
  const original::DataParallelModel model(net, devices_here(n));
  original::Trainer trainer(w, 1);
  Values losses;
  {
    const autograd::Record record;
    for (const Value& y : model({arange(1, 5)}).items) losses.push_back(mean.call(y.items, Value()));
  }
  original::parallel_backward(losses, false);
  trainer.step(1);
  return 1 - value(w.on(device_here(0)));
}

std::vector<float> gradient(const std::function<Tensor(const Tensor&)>& loss, const Tensor& at) {
  Tensor x = at.clone().attach_grad();
  Tensor y;
  {
    const autograd::Record record;
    y = loss(x);
  }
  y.backward();
  return x.grad().to_vector<float>();
}

// The slope of the reported value along one logit.
float slope(const std::function<Tensor(const Tensor&)>& loss, const Tensor& at, size_t i) {
  std::vector<float> x = at.to_vector<float>();
  const float step = 1.0f / 64;
  x[i] += step;
  const float up = value(loss(tensor(x, at.shape())));
  x[i] -= 2 * step;
  return (up - value(loss(tensor(x, at.shape())))) / (2 * step);
}

}  // namespace

TEST_SUITE("parallel/defects of training") {
  TEST_CASE("D22 an exception in backward comes out, and no stale gradient is used") {
    if (!distinct_or_skip(2)) return;
    const DeviceGuard here(device_here(0));
    Weight net;
    net.to(devices());
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
    parallel_backward(Tensors{loss_of(net.w.at(0), 1), loss_of(net.w.at(1), 1)});
    trainer.step();
    const float before = value(net.w.at(0));
    CHECK_THROWS_WITH_AS(parallel_backward(Tensors{loss_of(net.w.at(0), 1), failing_loss(net.w.at(1))}),
                         said_here("parallel: 1 of 2 devices failed. cpu:1: broken").c_str(), WorkerErrors);
    CHECK_THROWS_AS(trainer.step(), AutogradError);
    CHECK(value(net.w.at(0)) == before);

    original::Parameter w(ones({1}));
    w.reset_ctx(devices());
    original::Trainer theirs(w, 1);
    original::parallel_backward({loss_of(w.on(devices()[0]), 1), loss_of(w.on(devices()[1]), 1)}, true);
    theirs.step(1);
    const float their_before = value(w.on(devices()[0]));
    CHECK_NOTHROW(
        original::parallel_backward({loss_of(w.on(devices()[0]), 1), failing_loss(w.on(devices()[1]))}, true));
    CHECK_NOTHROW(theirs.step(1));
    CHECK(value(w.on(devices()[0])) == their_before - 2);  // with device 1's old gradient
  }

  TEST_CASE("D23 lists of losses with and without sync") {
    const DeviceGuard here(device_here(0));
    for (const bool sync : {false, true}) {
      Weight net;
      net.to(devices());
      std::vector<Tensors> lists;
      for (int i = 0; i < 2; ++i) lists.push_back({loss_of(net.w.at(i), 1), loss_of(net.w.at(i), 2)});
      parallel_backward(PerDevice<Tensors>(devices(), lists), {.sync = sync});
      CHECK(value(net.w.grad_at(1)) == 3);
    }
    original::Parameter w(ones({1}));
    const Values losses{original::list({loss_of(w.on(device_here(0)), 1), loss_of(w.on(device_here(0)), 2)})};
    CHECK_NOTHROW(original::parallel_backward(losses, true));
    CHECK_THROWS_AS(original::parallel_backward(losses, false), original::PythonError);
  }

  TEST_CASE("D24 a custom function fills all inputs, whatever one of them asks for, and adds") {
    const DeviceGuard here(device_here(0));
    struct Sum : autograd::Function {
      Tensors forward(autograd::Context&, const Tensors& x) override { return {x[0] + x[1] + x[2]}; }
      Tensors backward(autograd::Context&, const Tensors& dy) override { return {dy[0], dy[0] * 2.0, dy[0] * 3.0}; }
    };
    Tensor a = ones({1}), b = ones({1}).attach_grad(GradReq::write), c = ones({1}).attach_grad(GradReq::add);
    for (int i = 0; i < 2; ++i) {
      Tensor y;
      {
        const autograd::Record record;
        y = autograd::apply<Sum>(a, b, c);
      }
      y.backward();
    }
    CHECK(value(b.grad()) == 2);
    CHECK(value(c.grad()) == 6);

    std::vector<float> stored{0, 0, 0};
    for (int i = 0; i < 2; ++i)
      original::assign_gradients(stored, {1, 2, 3}, {original::null, original::write, original::add});
    CHECK(stored == std::vector<float>{0, 0, 0});  // stopped at the first
    for (int i = 0; i < 2; ++i) original::assign_gradients(stored, {1, 2}, {original::write, original::add});
    CHECK(stored == std::vector<float>{1, 0, 0});  // never added
  }

  TEST_CASE("D25 a step without a new backward is refused on several devices too") {
    const DeviceGuard here(device_here(0));
    Weight net;
    net.to(devices());
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
    parallel_backward(Tensors{loss_of(net.w.at(0), 1), loss_of(net.w.at(1), 1)});
    trainer.step();
    CHECK_THROWS_AS(trainer.step(), AutogradError);

    if (!distinct_or_skip(2)) return;
    for (const int n : {1, 2}) {
      original::Parameter w(ones({1}));
      w.reset_ctx(devices_here(n));
      original::Trainer theirs(w, 1);
      for (auto& [device, copy] : w.data) loss_of(copy, 1).backward();
      theirs.step(1);
      if (n == 1)
        CHECK_THROWS_AS(theirs.step(1), original::PythonError);
      else
        CHECK_NOTHROW(theirs.step(1));
    }
  }

  TEST_CASE("D26 devices that change after the trainer was built: all copies are updated") {
    const DeviceGuard here(device_here(0));
    Weight net;
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
    net.to(devices());
    parallel_backward(Tensors{loss_of(net.w.at(0), 1), loss_of(net.w.at(1), 1)});
    trainer.step();
    CHECK(value(net.w.at(0)) == -1);
    CHECK(value(net.w.at(1)) == -1);

    if (!distinct_or_skip(2)) return;
    original::Parameter w(ones({1}));
    original::Trainer theirs(w, 1);
    w.reset_ctx(devices());
    for (auto& [device, copy] : w.data) loss_of(copy, 1).backward();
    theirs.step(1);
    CHECK(value(w.on(devices()[0])) != value(w.on(devices()[1])));
  }

  TEST_CASE("D27 the weight of a loss weighs its gradient") {
    const DeviceGuard here(device_here(0));
    const Tensor logits = tensor({{1.f, 2.f, -1.f}, {0.f, 0.5f, 1.f}});
    const Tensor labels = tensor({int64_t{0}, int64_t{2}});
    const nn::SoftmaxCrossEntropyLoss loss;
    const auto ours = [&](double w) { return gradient([&](const Tensor& x) { return loss(x, labels) * w; }, logits); };
    const auto theirs = [&](double w) {
      return gradient([&](const Tensor& x) { return original::softmax_loss(x, {0, 2}) * w; }, logits);
    };
    const auto full = ours(1), half = ours(0.5);
    for (size_t i = 0; i < full.size(); ++i) CHECK(half[i] == 0.5f * full[i]);
    CHECK(theirs(1) == theirs(0.5));
    for (size_t i = 0; i < full.size(); ++i) CHECK(theirs(1)[i] == doctest::Approx(full[i]));  // else the same loss
  }

  TEST_CASE("D28 the gradient does not depend on the number of devices") {
    const DeviceGuard here(device_here(0));
    CHECK(our_gradient(1) == 2.5f);
    CHECK(our_gradient(2) == 2.5f);
    CHECK(our_gradient(4) == 2.5f);
    CHECK(their_gradient(1) == 2.5f);
    if (!distinct_or_skip(4)) return;
    CHECK(their_gradient(2) == 5.f);
    CHECK(their_gradient(4) == 10.f);
  }

  TEST_CASE("D29 the reported loss is the one whose gradient is taken") {
    const DeviceGuard here(device_here(0));
    const Tensor logits = tensor({{1.f, 2.f}, {0.f, 0.5f}, {3.f, -1.f}});
    const Tensor labels = tensor({int64_t{0}, int64_t{-1}, int64_t{1}});
    const nn::SoftmaxCrossEntropyLoss loss;
    const auto ours = [&](const Tensor& x) { return loss(x, labels); };
    const auto theirs = [](const Tensor& x) { return original::softmax_loss(x, {0, -1, 1}); };
    CHECK(slope(ours, logits, 0) == doctest::Approx(gradient(ours, logits)[0]).epsilon(1e-3));
    CHECK(slope(theirs, logits, 0) != doctest::Approx(gradient(theirs, logits)[0]).epsilon(0.02));
  }

  TEST_CASE("D30 confident wrong logits give a finite loss and gradient") {
    const DeviceGuard here(device_here(0));
    const Tensor logits = tensor({{100.f, -21.f}});
    const nn::SoftmaxCrossEntropyLoss loss;
    const auto ours = [&](const Tensor& x) { return loss(x, tensor({int64_t{1}})); };
    CHECK(value(ours(logits)) == 121);
    CHECK(gradient(ours, logits) == std::vector<float>{1, -1});
    CHECK_FALSE(std::isfinite(value(original::softmax_loss(logits, {1}))));
  }
}
