// One device fails at any point of a training step: the error comes out with its device, nobody waits, nothing changed
// that must not, and the next good step gives the bits of a run that never failed.
// One file although it is long: all points fail one and the same step, by one plan.
#include <doctest/doctest.h>

#include "tests/parallel/communicator.h"
#include "tests/parallel/devices.h"
#include "tests/support/faults.h"
#include "tests/support/text_of.h"
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
  std::atomic<int> nth{0};  // of the times that the device passes the point, from 0
  std::atomic<int> fired{0};

  void start(Point where, int on_device, int at = 0) {
    fired = 0, nth = at, device = on_device;
    point = where;
  }
  int end() {
    point = Point::none;
    return fired;
  }
} plan;

void pass(Point point, Device device) {
  if (plan.point != point || device_of(device.type, plan.device) != device || plan.nth-- != 0) return;
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

// Fails where something is summed over devices.
class FragileCommunicator final : public PassingCommunicator {
 public:
  using PassingCommunicator::PassingCommunicator;
  bool all_reduce(std::span<const Tensor> x, std::span<Tensor> y) override {
    for (const Tensor& t : x) pass(Point::all_reduce, t.device());
    return PassingCommunicator::all_reduce(x, y);
  }
};

using Values = std::vector<std::vector<float>>;

struct Training {
  explicit Training(const std::vector<Device>& devices)
      : model(net, devices, wrapped()),
        criterion(Loss(), devices, wrapped()),
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

// Fails every allocation of a step, one after the other: failing(nth, work) does the work with allocations from the nth
// on failing, and says how many did.
template <class Failing>
void fail_allocations(const std::vector<Device>& devices, const std::string& what, const Failing& failing) {
  const Values after_one = clean(devices, 1), after_two = clean(devices, 2);
  int64_t fired = 0, refused = 0;
  for (int64_t nth = 0;; ++nth) {
    CAPTURE(nth);
    Training training(devices);
    training.step();
    for (const Device device : devices) empty_cache(device);
    bool failed = false;
    const int64_t fires = failing(nth, [&] {
      try {
        training.step();
      } catch (const std::exception&) {
        failed = true;
      }
    });
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
  MESSAGE(what, ": ", fired, " faults fired, ", refused, " steps refused");
  CHECK(fired > 20);
  CHECK(refused > 10);
}

}  // namespace

TEST_SUITE("parallel/failure") {
  TEST_CASE("any device at any point of a step") {
    for (const DeviceType type : kinds()) {
      const auto devices = devices_of(type, 3);
      const Values after_one = clean(devices, 1), after_two = clean(devices, 2);
      for (const Point point :
           {Point::forward, Point::before_meeting, Point::loss, Point::backward, Point::after_meeting})
        for (int device = 0; device < 3; ++device) {
          CAPTURE(static_cast<int>(point));
          CAPTURE(device);
          Training training(devices);
          training.step();
          plan.start(point, device);
          const std::string text = text_of([&] { training.step(); });
          CHECK(plan.end() == 1);
          CHECK(text.find("planted in " + to_string(devices[static_cast<size_t>(device)])) != std::string::npos);
          CHECK(text.find("parallel: 1 of 3 devices failed. ") == 0);
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

  TEST_CASE("any sum over devices of a step: statistics, weights, their gradients, and those of the parameters") {
    for (const DeviceType type : kinds(3)) {  // else no communicator is asked
      const auto devices = devices_of(type, 3);
      const FragileCommunicator communicator(type);
      const Values after_one = clean(devices, 1), after_two = clean(devices, 2);
      for (int device = 0; device < 3; ++device) {
        int sums = 0;
        for (;; ++sums) {
          CAPTURE(device);
          CAPTURE(sums);
          Training training(devices);
          training.step();
          plan.start(Point::all_reduce, device, sums);
          const std::string text = text_of([&] { training.step(); });
          if (plan.end() == 0) break;
          CHECK(text.find("planted in " + to_string(devices[static_cast<size_t>(device)])) != std::string::npos);
          CHECK(training.values() == after_one);
          CHECK(training.copies_agree());
          training.step();
          CHECK(training.values() == after_two);
          CHECK(training.copies_agree());
        }
        MESSAGE(to_string(devices[static_cast<size_t>(device)]), ": ", sums,
                " sums of a step failed, one after the other");
        CHECK(sums >= 6);  // means and variances, weights, two gradients of the batch norm, a bucket of gradients
      }
    }
  }

  TEST_CASE("an update that fails on one device is made good from another") {
    for (const DeviceType type : kinds(3)) {
      const auto devices = devices_of(type, 3);
      const Values after_two = clean(devices, 2), after_three = clean(devices, 3);
      for (int device = 0; device < 3; ++device) {
        Training training(devices);
        training.step();
        plan.start(Point::update, device);
        training.step();
        CHECK(plan.end() == 1);
        CHECK(training.values() == after_two);
        CHECK(training.copies_agree());
        training.step();
        CHECK(training.values() == after_three);
      }
    }
  }

  TEST_CASE("after an update that failed on all devices the trainer asks for a state") {
    for (const DeviceType type : kinds()) {
      Training alone(devices_of(type, 1));
      alone.step();
      const auto state = alone.trainer.state();
      plan.start(Point::update, 0);
      CHECK(text_of([&] { alone.step(); }) == "planted in " + to_string(device_of(type, 0)));
      CHECK(plan.end() == 1);
      CHECK_THROWS_WITH(alone.step(),
                        "step: copies of the parameters differ since an update failed; load a state first");
      alone.trainer.load_state(state);
      alone.step();
      CHECK(alone.values() == clean(devices_of(type, 1), 2));
    }
  }

  TEST_CASE("every allocation of a whole step fails once, on whatever thread") {
    for (const HostFault kind : {HostFault::pool, HostFault::heap}) {
      const DeviceGuard host("cpu");  // what CUDA allocates on the host is not weft's to fail
      if (!can_fail(kind)) {
        MESSAGE("operator new belongs to the sanitizer here and is not made to fail");
        continue;
      }
      const bool pool = kind == HostFault::pool;
      fail_allocations(cpus(2), pool ? "blocks of the pool" : "operator new", [&](int64_t nth, const auto& work) {
        const FailAllocations faults(kind, nth, pool ? 2 : 1, FaultyThreads::all);  // the pool asks again
        work();
        return faults.fired();
      });
    }
    if (!simulated()) return;
    for (const Device device : devices_here(2))
      fail_allocations(devices_here(2), "memory of " + to_string(device), [&](int64_t nth, const auto& work) {
        weft_test_fail_allocations(device.index, nth, 2);
        work();
        return weft_test_failed_allocations();
      });
  }
}
