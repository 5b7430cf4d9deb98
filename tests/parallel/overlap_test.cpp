// Buckets of gradients that are summed while the backward pass still runs: that they are, when they must not be, and
// that nothing but time tells the difference from sums made afterwards.
// One file although it is long: every case is checked on one net, against one count of the sums it makes.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <optional>

#include "tests/parallel/communicator.h"
#include "tests/parallel/devices.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

// What fails in the next pass: the backward of the first layer on this device, or the sum of bucket `sum`.
struct Plan {
  std::atomic<int> device{-1}, sum{-1}, fired{0};

  // Once: of several ranks on the device the first that comes.
  bool takes(Device at) {
    int wanted = device;
    return wanted >= 0 && device_of(at.type, wanted) == at && device.compare_exchange_strong(wanted, -1);
  }
} plan;

Tensor fragile(const Tensor& x) {
  Tensor y = x.detach().clone();
  if (autograd::tracked(x))
    autograd::record_joint("fragile", {&y, 1}, {&x, 1}, [at = x.device()](std::span<const Tensor> dys, auto) {
      if (plan.takes(at)) ++plan.fired, fail<Error>("planted in ", at);
      return Tensors{dys[0].clone()};
    });
  return y;
}

// Fails at one sum of gradients; statistics of batch norm are smaller.
class FragileCommunicator final : public PassingCommunicator {
 public:
  using PassingCommunicator::PassingCommunicator;
  bool all_reduce(std::span<const Tensor> x, std::span<Tensor> y) override {
    if (x[0].numel() >= 18 && plan.sum >= 0 && plan.sum-- == 0) ++plan.fired, fail<CommError>("planted in a sum");
    return PassingCommunicator::all_reduce(x, y);
  }
};

// Declines: collectives are copies and sums.
class NoCommunicator final : public PassingCommunicator {
 public:
  using PassingCommunicator::PassingCommunicator;
  bool all_reduce(std::span<const Tensor>, std::span<Tensor>) override { return false; }
  bool broadcast(const Tensor&, std::span<Tensor>) override { return false; }
  bool reduce(std::span<const Tensor>, Tensor&) override { return false; }
  bool all_gather(std::span<const Tensor>, std::span<Tensor>) override { return false; }
};

// Four buckets of 256 bytes: extra and head; body, which is used twice; norm and stem's bias; stem's weight.
constexpr int buckets = 4;
struct Net : nn::Module {
  nn::Conv2d stem{2, 6, {.kernel = 3, .padding = 1}};
  nn::BatchNorm2d norm{6, {.relu = true, .sync = true}};
  nn::Conv2d body{6, 6, {.kernel = 3, .padding = 1, .bias = false}};
  nn::Conv2d head{6, 3, {.kernel = 1}};
  nn::Conv2d extra{6, 3, {.kernel = 1}};
  WEFT_MEMBERS(stem, norm, body, head, extra)
  std::shared_ptr<std::atomic<bool>> all = std::make_shared<std::atomic<bool>>(true);
  Tensor forward(const Tensor& x) const {
    const Tensor features = body(relu(body(norm(fragile(stem(x))))));
    return *all ? head(features) + extra(features) : head(features);
  }
};

struct Setting {
  DeviceType type = DeviceType::cpu;
  int devices = 2, shares = 0;
  bool overlap = true;
};

using Values = std::vector<std::vector<float>>;

struct Training {
  explicit Training(const Setting& s)
      : devices(devices_of(s.type, s.devices)),
        options(wrapped({.shares = s.shares})),
        model(net, devices, options),
        criterion(nn::SoftmaxCrossEntropyLoss(), devices, options),
        trainer(net.parameters(), nn::optim::SGD({.lr = 0.1, .momentum = 0.9}),
                {.ignore_stale_grad = true, .bucket_bytes = 256, .overlap = s.overlap}) {
    const DeviceGuard host("cpu");
    image = randn({9, 2, 4, 4});
    mask = uniform({9, 4, 4}, 0, 3).to(DType::i64);
  }
  void pass(int64_t samples = 9, const ParallelBackwardOptions& how = {}) {
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(image.slice(0, 0, samples)), mask.slice(0, 0, samples));
    }
    parallel_backward(losses, how);
  }
  void step() { pass(), trainer.step(); }
  Values values() const {
    Values all;
    for (const nn::Parameter& p : net.parameters())
      for (int i = 0; i < p.places(); ++i) all.push_back(p.at(i).to_vector<float>());
    return all;
  }

  const GeneratorGuard seeded{Generator(5)};
  std::vector<Device> devices;
  DataParallelOptions options;
  Net net;
  DataParallelModel<Net> model;
  DataParallelCriterion<nn::SoftmaxCrossEntropyLoss> criterion;
  Trainer trainer;
  Tensor image, mask;
};

struct Sums {
  int early = 0, late = 0;  // buckets that were summed by a worker in a backward pass, and afterwards
  friend bool operator==(const Sums&, const Sums&) = default;
};

Sums sums_in(const std::function<void()>& work, bool* before_end = nullptr) {
  Profile profile;
  work();
  profile.stop();
  Sums sums;
  for (const ProfileEvent& e : profile.events()) {
    if (e.kind != ProfileKind::collective || e.name != "bucket of gradients") continue;
    bool early = false;
    for (const ProfileEvent& other : profile.events()) {
      if (other.thread != e.thread) continue;
      early |= other.kind == ProfileKind::pass && other.name == "worker: backward" && other.begin <= e.begin &&
               e.end <= other.end;
      if (before_end) *before_end |= other.kind == ProfileKind::node && other.begin >= e.end;
    }
    ++(early ? sums.early : sums.late);
  }
  return sums;
}

// What happens in the second step, and which sums it makes.
struct Case {
  const char* name;
  Sums sums;
  std::function<void(Training&)> step;
};

void request(Training& t, GradReq request) {
  for (const nn::Parameter& p : t.net.parameters()) p.set_request(request);
}

PerDevice<Tensor> losses_of(Training& t, float factor, nn::optim::GradScaler* scaler = nullptr) {
  const autograd::Record record;
  const PerDevice<Tensor> losses = t.criterion(t.model(t.image * factor), t.mask);
  return scaler ? scaler->scale(losses) : losses;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"a plain step", {buckets, 0}, [](Training& t) { t.step(); }},
      {"sums apart from the update",
       {buckets, 0},
       [](Training& t) { t.pass(), t.trainer.allreduce_grads(), t.trainer.allreduce_grads(), t.trainer.update(2); }},
      {"clipping", {buckets, 0}, [](Training& t) { t.pass(), t.trainer.clip_grad_norm(0.01), t.trainer.step(); }},
      {"a second pass replaces the first", {2 * buckets, 0}, [](Training& t) { t.pass(3), t.step(); }},
      {"a gradient changed between pass and step",
       {buckets, 1},
       [](Training& t) { t.pass(), t.net.body.weight.grad_at(0).mul_(3), t.trainer.step(); }},
      {"a gradient replaced",
       {buckets, 1},
       [](Training& t) {
         t.pass();
         autograd::Leaf* leaf = autograd::leaf_of(t.net.head.weight.at(1));
         leaf->set_grad(leaf->grad() * 2), t.trainer.step();
       }},
      {"gradients dropped, then another pass",
       {2 * buckets, 0},
       [](Training& t) { t.pass(4), t.trainer.zero_grad(), t.step(); }},
      {"gradients of a parameter dropped",
       {buckets, 1},
       [](Training& t) { t.pass(), t.net.body.weight.zero_grad(), t.trainer.step(); }},
      {"a gradient dropped on one device",
       {buckets, 1},
       [](Training& t) { t.pass(), t.net.body.weight.at(1).zero_grad(), t.trainer.step(); }},
      {"fewer samples than devices", {0, buckets}, [](Training& t) { t.pass(1), t.trainer.step(); }},
      {"parameters that the pass does not use",
       {0, buckets},
       [](Training& t) { *t.net.all = false, t.step(), *t.net.all = true; }},
      {"a frozen parameter",
       {1, 2},
       [](Training& t) {
         t.net.body.weight.set_request(GradReq::null), t.step(), t.net.body.weight.set_request(GradReq::write);
       }},
      {"GradReq::add",
       {0, buckets},
       [](Training& t) {
         request(t, GradReq::add), t.pass(3), t.step(), t.trainer.zero_grad(), request(t, GradReq::write);
       }},
      {"no_sync",
       {0, buckets},
       [](Training& t) {
         for (const int64_t n : {3, 9}) {
           const auto scope = t.trainer.no_sync();
           t.pass(n);
         }
         t.step();
       }},
      {"no_sync after a pass",
       {buckets, buckets},
       [](Training& t) {
         t.pass();
         { const auto scope = t.trainer.no_sync(); }
         t.trainer.step();
       }},
      {"create_graph", {0, buckets}, [](Training& t) { t.pass(9, {.create_graph = true}), t.trainer.step(); }},
      {"a graph used twice",
       {2 * buckets, 0},
       [](Training& t) {
         const PerDevice<Tensor> losses = losses_of(t, 1);
         parallel_backward(losses, {.retain_graph = true}), parallel_backward(losses), t.trainer.step();
       }},
      {"a scaled loss that overflows, then one that does not",
       {2 * buckets, 0},
       [](Training& t) {
         nn::optim::GradScaler scaler({.init_scale = 4});
         for (const float factor : {INFINITY, 1.f})
           parallel_backward(losses_of(t, factor, &scaler)), t.trainer.step(1, scaler), scaler.update();
       }},
      {"a pass in one thread",
       {0, buckets},
       [](Training& t) {
         const PerDevice<Tensor> losses = losses_of(t, 1);
         autograd::backward(Tensors(losses.begin(), losses.end())), t.trainer.step();
       }},
  };
  return all;
}

// Three steps, of which the second fails in the pass or in a sum; a sum is made again when the step is.
void check_failure(DeviceType type, int device, int sum, const std::string& text) {
  const Setting setting{.type = type, .devices = 3};
  Training training(setting), clean(setting);
  for (Training* t : {&training, &clean}) t->step();
  plan.fired = 0, plan.device = device, plan.sum = sum;
  std::string said;
  try {
    training.step();
  } catch (const Error& error) {
    said = error.what();
  }
  plan.device = plan.sum = -1;
  CHECK(plan.fired == 1);
  CHECK(said.find(text) != std::string::npos);
  CHECK(training.values() == clean.values());
  clean.step();
  if (sum >= 0)
    training.trainer.step();
  else
    training.step();
  CHECK(training.values() == clean.values());
  CHECK(sums_in([&] { training.step(); }) == Sums{buckets, 0});
}

}  // namespace

TEST_SUITE("parallel/overlap") {
  TEST_CASE("whatever a step does: the same bits as without, and in advance what can be") {
    for (const DeviceType type : kinds())
      for (const Case& c : cases()) {
        CAPTURE(std::string(c.name));
        CAPTURE(to_string(type));
        Training with({.type = type, .devices = 3}), without({.type = type, .devices = 3, .overlap = false});
        for (Training* t : {&with, &without}) t->step();
        const Sums sums = sums_in([&] { c.step(with); });
        CHECK(sums.early == c.sums.early);
        CHECK(sums.late == c.sums.late);
        CHECK(sums_in([&] { c.step(without); }).early == 0);
        CHECK(with.values() == without.values());
        for (int i = 0; i < 2; ++i)
          for (Training* t : {&with, &without}) t->step();
        CHECK(with.values() == without.values());
        CHECK(sums_in([&] { with.step(); }) == Sums{buckets, 0});
      }
  }

  TEST_CASE("1 to 4 devices, with shares and without, run to run: the bits of sums made afterwards") {
    for (const DeviceType type : kinds())
      for (const int shares : {0, 4})
        for (const int devices : {1, 2, 3, 4}) {
          if (shares % devices != 0) continue;
          CAPTURE(devices);
          CAPTURE(shares);
          Setting setting{.type = type, .devices = devices, .shares = shares};
          Training one(setting), other(setting);
          setting.overlap = false;
          Training without(setting);
          const bool several = devices > 1 || shares > 1;
          CHECK(sums_in([&] { one.step(); }) == Sums{0, several ? buckets : 0});  // it learns the buckets
          CHECK(sums_in([&] { one.step(); }) == Sums{several ? buckets : 0, 0});
          for (int i = 0; i < 2; ++i) other.step(), without.step();
          for (int i = 0; i < natively_or(type, 20, 2); ++i) one.step(), other.step(), without.step();
          CHECK(one.values() == without.values());
          CHECK(other.values() == without.values());
        }
  }

  TEST_CASE("a worker sums a bucket and goes on with the pass") {
    for (const DeviceType type : kinds()) {
      Training training({.type = type});
      bool before_end = false;
      training.step();
      CHECK(sums_in([&] { training.pass(); }, &before_end) == Sums{buckets, 0});
      CHECK(before_end);
    }
  }

  TEST_CASE("a leaf with a hook: its bucket is summed afterwards, from what the hook made") {
    for (const DeviceType type : kinds()) {
      Training with({.type = type}), without({.type = type, .overlap = false});
      std::atomic<int> calls{0};
      for (Training* t : {&with, &without}) {
        t->step();
        autograd::leaf_of(t->net.body.weight.at(1))->add_hook(0, [&calls](const Tensor& dy) {
          ++calls;
          return dy * 3;
        });
        t->step();
      }
      CHECK(calls == 2);
      CHECK(with.values() == without.values());
    }
  }

  TEST_CASE("several trainers: of parts of a net, and with passes in between") {
    for (const DeviceType type : kinds()) {
      std::vector<Values> runs;
      for (const bool overlap : {true, false}) {
        Training first({.type = type, .overlap = overlap}), second({.type = type, .overlap = overlap});
        std::optional<Trainer> part(std::in_place, std::vector<nn::Parameter>{first.net.body.weight},
                                    nn::optim::SGD({.lr = 0.01}), TrainerOptions{.overlap = overlap});
        for (int i = 0; i < 3; ++i) {
          first.pass(), second.pass();
          part->allreduce_grads();
          first.net.body.weight.zero_grad();
          second.trainer.step(), first.trainer.step();
          first.pass(), part->step(), first.trainer.zero_grad();
        }
        part.reset();
        first.step();
        CHECK(sums_in([&] { first.step(), second.step(); }) ==
              Sums{overlap ? 2 * buckets : 0, overlap ? 0 : 2 * buckets});
        runs.push_back(first.values()), runs.push_back(second.values());
      }
      CHECK(runs[0] == runs[2]);
      CHECK(runs[1] == runs[3]);
    }
  }

  TEST_CASE("a pass that fails after its first sums: nothing changed, and the next is as if it had not been") {
    for (const DeviceType type : kinds())
      for (int device = 0; device < 3; ++device)
        check_failure(type, device, -1, "planted in " + to_string(device_of(type, device)));
  }

  TEST_CASE("what takes the memory of a failed pass waits for the sums that read it") {
    for (const DeviceType type : kinds()) {
      const NoCommunicator communicator(type);
      Training training({.type = type, .devices = 3}), clean({.type = type, .devices = 3});
      for (Training* t : {&training, &clean}) t->step();
      plan.fired = 0, plan.device = 2;
      CHECK_THROWS_AS(training.pass(), Error);
      plan.device = -1;
      CHECK(plan.fired == 1);
      Tensors next;  // of the sizes of the buckets' flats, filled at once
      for (const Device device : training.devices)
        for (const int64_t n : {42, 324, 18, 108})
          for (int i = 0; i < 4; ++i) next.push_back(full({n}, 7, {.device = device}));
      for (Training* t : {&training, &clean}) t->step();
      CHECK(training.values() == clean.values());
    }
  }

  TEST_CASE("a sum that fails in a pass is told by the step") {
    for (const DeviceType type : kinds(3)) {  // else no communicator is asked
      const FragileCommunicator communicator(type);
      for (int sum = 0; sum < buckets; ++sum) check_failure(type, -1, sum, "planted in a sum");
    }
  }
}
