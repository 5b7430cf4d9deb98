// One device fails at any point of a training step: the error comes out with its device, nobody waits, nothing changed
// that must not, and the next good step gives the bits of a run that never failed.
#include <doctest/doctest.h>

#include "tests/parallel/devices.h"
#include "tests/support/faults.h"
#include "weft/autograd/record.h"
#include "weft/nn/nn.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

enum class Point { none, forward, before_meeting, loss, backward, after_meeting, all_reduce, update };

struct Plan {
  std::atomic<Point> point{Point::none};
  std::atomic<int> device{0};
  std::atomic<int> fired{0};
} plan;

void pass(Point point, Device device) {
  if (plan.point != point || plan.device != device.index) return;
  ++plan.fired;
  fail<Error>("planted in ", device);
}

// Passes gradients on, or fails.
Tensor fragile(const Tensor& x, Point forward, Point backward) {
  pass(forward, x.device());
  Tensor y = x.detach().clone();
  if (autograd::tracked(x))
    autograd::record_joint("fragile", {&y, 1}, {&x, 1},
                           [backward, device = x.device()](std::span<const Tensor> dys, std::span<const bool>) {
                             pass(backward, device);
                             return Tensors{dys[0].clone()};
                           });
  return y;
}

struct Net : nn::Module {
  nn::Conv2d conv{2, 4, {.kernel = 3, .padding = 1}};
  nn::BatchNorm2d norm{4, {.relu = true, .sync = true}};
  nn::Conv2d head{4, 3, {.kernel = 1}};
  WEFT_MEMBERS(conv, norm, head)
  Tensor forward(const Tensor& x) const {
    const Tensor features = fragile(conv(x), Point::before_meeting, Point::after_meeting);
    return head(fragile(norm(features), Point::forward, Point::backward));
  }
};

struct Loss {
  nn::SoftmaxCrossEntropyLoss loss;
  nn::LossParts parts(const Tensor& y, const Tensor& t) const {
    pass(Point::loss, y.device());
    return loss.parts(y, t);
  }
};

// SGD whose launch fails on one device.
class FragileSGD final : public nn::optim::Optimizer {
 public:
  explicit FragileSGD(const nn::optim::SGDOptions& options)
      : Optimizer(options.lr, options.weight_decay), options_(options), sgd_(options) {}
  std::unique_ptr<Optimizer> clone() const override { return std::make_unique<FragileSGD>(options_); }
  std::vector<std::string> state_names() const override { return sgd_.state_names(); }
  void apply(std::span<const nn::optim::Update> updates, int64_t step, double scale,
             const Tensor& gate = {}) const override {
    pass(Point::update, updates[0].value.device());
    sgd_.apply(updates, step, scale, gate);
  }

 private:
  nn::optim::SGDOptions options_;
  nn::optim::SGD sgd_;
};

// Fails where gradients are summed; declines otherwise.
class FragileCommunicator final : public Communicator {
 public:
  FragileCommunicator() { register_communicator(DeviceType::cpu, this); }
  ~FragileCommunicator() override { register_communicator(DeviceType::cpu, nullptr); }
  bool all_reduce(std::span<const Tensor> x, std::span<Tensor>) override {
    for (const Tensor& t : x) pass(Point::all_reduce, t.device());
    return false;
  }
  bool broadcast(const Tensor&, std::span<Tensor>) override { return false; }
};

using Values = std::vector<std::vector<float>>;

struct Training {
  explicit Training(const std::vector<Device>& devices)
      : model(net, devices),
        criterion(Loss(), devices),
        trainer(net.parameters(), FragileSGD({.lr = 0.1, .momentum = 0.9})) {
    image = randn({7, 2, 5, 5});
    std::vector<int64_t> labels(7 * 25);
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int64_t>(i * i % 3);
    mask = tensor(labels, {7, 5, 5});
  }
  void step() {
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(image), mask);
    }
    parallel_backward(losses);
    trainer.step();
  }
  Values values() const {
    Values all;
    for (const nn::Parameter& p : net.parameters()) all.push_back(p.at(0).to_vector<float>());
    return all;
  }
  bool copies_agree() const {
    bool agree = true;
    for (const nn::Parameter& p : net.parameters())
      for (int i = 1; i < p.places(); ++i) agree &= p.at(i).to_vector<float>() == p.at(0).to_vector<float>();
    return agree;
  }

  struct Seeded {
    Seeded() { seed(9); }
  } before_all;
  Net net;
  DataParallelModel<Net> model;
  DataParallelCriterion<Loss> criterion;
  Trainer trainer;
  Tensor image, mask;
};

Values clean(const std::vector<Device>& devices, int steps) {
  Training training(devices);
  for (int i = 0; i < steps; ++i) training.step();
  return training.values();
}

}  // namespace

TEST_SUITE("parallel/failure") {
  TEST_CASE("any device at any point of a step") {
    for (const DeviceType type : kinds(3)) {
      const auto devices = devices_of(type, 3);
      const Values after_one = clean(devices, 1), after_two = clean(devices, 2);
      const FragileCommunicator communicator;
      for (const Point point : {Point::forward, Point::before_meeting, Point::loss, Point::backward,
                                Point::after_meeting, Point::all_reduce}) {
        if (point == Point::all_reduce && type != DeviceType::cpu) continue;  // that one has its own communicator
        for (int device = 0; device < 3; ++device) {
          CAPTURE(static_cast<int>(point));
          CAPTURE(device);
          Training training(devices);
          training.step();
          plan.fired = 0;
          plan.device = device;
          plan.point = point;
          std::string text;
          try {
            training.step();
          } catch (const Error& error) {
            text = error.what();
          }
          plan.point = Point::none;
          CHECK(plan.fired == 1);
          CHECK(text.find("planted in " + to_string(devices[static_cast<size_t>(device)])) != std::string::npos);
          if (point != Point::all_reduce) CHECK(text.find("parallel: 1 of 3 devices failed. ") == 0);
          CHECK(training.values() == after_one);
          CHECK(training.copies_agree());
          if (point == Point::backward || point == Point::after_meeting)
            CHECK_THROWS_AS(training.trainer.step(), AutogradError);  // stale
          training.step();
          CHECK(training.values() == after_two);
          CHECK(training.copies_agree());
        }
      }
    }
  }

  TEST_CASE("an update that fails on one device is made good from another; on all, the trainer asks for a state") {
    const auto devices = cpus(3);
    const Values after_two = clean(devices, 2), after_three = clean(devices, 3);
    for (int device = 0; device < 3; ++device) {
      Training training(devices);
      training.step();
      plan.fired = 0;
      plan.device = device;
      plan.point = Point::update;
      training.step();
      plan.point = Point::none;
      CHECK(plan.fired == 1);
      CHECK(training.values() == after_two);
      CHECK(training.copies_agree());
      training.step();
      CHECK(training.values() == after_three);
    }
    Training alone(cpus(1));
    alone.step();
    const auto state = alone.trainer.state();
    plan.device = 0;
    plan.point = Point::update;
    CHECK_THROWS_WITH(alone.step(), "planted in cpu:0");
    plan.point = Point::none;
    CHECK_THROWS_WITH(alone.step(), "step: copies of the parameters differ since an update failed; load a state first");
    alone.trainer.load_state(state);
    alone.step();
    CHECK(alone.values() == clean(cpus(1), 2));
  }

  TEST_CASE("every allocation of a whole step fails once, on whatever thread") {
    const auto devices = cpus(2);
    const Values after_one = clean(devices, 1), after_two = clean(devices, 2);
    for (const HostFault kind : {HostFault::pool, HostFault::heap}) {
      if (!can_fail(kind)) continue;
      int64_t fired = 0, refused = 0;
      for (int64_t nth = 0;; nth += kind == HostFault::pool ? 1 : 1 + nth / 40) {
        CAPTURE(nth);
        Training training(devices);
        training.step();
        for (const Device device : devices) empty_cache(device);
        bool failed = false;
        int64_t fires = 0;
        {
          const FailAllocations faults(kind, nth, kind == HostFault::pool ? 2 : 1, FaultyThreads::all);
          try {
            training.step();
          } catch (const std::exception&) {
            failed = true;
          }
          fires = faults.fired();
        }
        CHECK(training.copies_agree());
        if (failed) {
          CHECK(training.values() == after_one);
          training.step();
        }
        CHECK(training.values() == after_two);
        fired += fires;
        refused += failed;
        if (fires == 0) break;
      }
      MESSAGE(std::string(kind == HostFault::pool ? "blocks of the pool" : "operator new"), ": ", fired,
              " faults fired, ", refused, " steps refused");
      CHECK(fired > 20);
      CHECK(refused > 10);
    }
  }
}
