// The trainer: sums, updates, clipping, states. One file although it is long: its cases share the nets below.
#include "weft/parallel/trainer.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/parallel/devices.h"
#include "weft/nn/nn.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

struct Two : nn::Module {
  nn::Parameter a{ones({2})}, b{ones({2})};
  WEFT_MEMBERS(a, b)
};

void backward_of(const nn::Parameter& p, double factor, int place = 0) {
  Tensor loss;
  {
    const autograd::Record record;
    loss = (p.at(place) * factor).sum();
  }
  loss.backward();
}

std::vector<float> value(const nn::Parameter& p, int place = 0) { return p.at(place).to_vector<float>(); }

}  // namespace

TEST_SUITE("parallel/trainer") {
  TEST_CASE("step divides by n and clips in between") {
    const DeviceGuard here(device_here(0));
    Two net;
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
    backward_of(net.a, 4), backward_of(net.b, 8);
    trainer.step(4);
    CHECK(value(net.a) == std::vector<float>{0, 0});
    CHECK(value(net.b) == std::vector<float>{-1, -1});
    CHECK(trainer.steps() == 1);
  }

  TEST_CASE("a parameter without a fresh gradient is an error by name, before anything changes") {
    const DeviceGuard here(device_here(0));
    Two net;
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
    backward_of(net.a, 1);
    CHECK_THROWS_WITH_AS(
        trainer.step(),
        "step: no fresh gradient for 'b' on any device; run backward() on a loss that depends on it, or set "
        "ignore_stale_grad",
        AutogradError);
    CHECK(value(net.a) == std::vector<float>{1, 1});
    backward_of(net.b, 1);
    CHECK_NOTHROW(trainer.step());
    CHECK_THROWS_AS(trainer.step(), AutogradError);
  }

  TEST_CASE("ignore_stale_grad leaves such parameters out: no decay, no momentum") {
    const DeviceGuard here(device_here(0));
    Two net;
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1, .momentum = 0.5, .weight_decay = 0.5}),
                    {.ignore_stale_grad = true});
    backward_of(net.a, 1);
    trainer.step();
    CHECK(value(net.a) == std::vector<float>{-0.5f, -0.5f});
    CHECK(value(net.b) == std::vector<float>{1, 1});
  }

  TEST_CASE("a gradient on some devices: the others count as zero, all copies step alike") {
    const DeviceGuard here(device_here(0));
    Two net;
    net.to(devices_here(3));
    Trainer trainer(net.parameters(), nn::optim::AdamW({.lr = 0.5}));
    for (int round = 0; round < 3; ++round) {
      backward_of(net.a, 1, 1), backward_of(net.a, 2, 2), backward_of(net.b, 1, 0);
      trainer.allreduce_grads();
      trainer.allreduce_grads();  // sums only once
      CHECK(net.a.grad_at(0).to_vector<float>() == std::vector<float>{3, 3});
      trainer.update();
      for (int i = 1; i < 3; ++i) CHECK(value(net.a, i) == value(net.a, 0));
    }
  }

  TEST_CASE("a device listed again, also after another one: one update of the value that its ranks share") {
    for (const std::vector<int>& places : {std::vector{0, 1, 0}, std::vector{0, 1, 0, 1}, std::vector{0, 0, 1}}) {
      std::vector<Device> devices;
      for (const int i : places) devices.push_back(device_here(i));
      Two net;
      net.to(devices);
      Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1, .momentum = 0.5}));
      for (int round = 0; round < 3; ++round) {
        backward_of(net.a, 1, 0), backward_of(net.b, 2, 1);
        trainer.step();
      }
      for (int i = 0; i < net.a.places(); ++i) {
        CHECK(value(net.a, i) == std::vector<float>{-3.25f, -3.25f});
        CHECK(value(net.b, i) == std::vector<float>{-7.5f, -7.5f});
      }
    }
  }

  TEST_CASE("small and large buckets give the same sums") {
    const DeviceGuard here(device_here(0));
    const auto run = [](int64_t bucket_bytes) {
      seed(1);
      nn::Sequential net;
      for (int i = 0; i < 6; ++i) net.add<nn::Linear>(5, 5);
      net.to(devices_here(2));
      for (const nn::Parameter& p : net.parameters()) backward_of(p, 3, 0), backward_of(p, 4, 1);
      Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.25}), {.bucket_bytes = bucket_bytes});
      trainer.step();
      std::vector<std::vector<float>> values;
      for (const nn::Parameter& p : net.parameters()) values.push_back(value(p, 1));
      return values;
    };
    CHECK(run(1) == run(int64_t{1} << 20));
  }

  TEST_CASE("NaN is found before the update") {
    const DeviceGuard here(device_here(0));
    Two net;
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}), {.check_finite = true});
    backward_of(net.a, std::nan("")), backward_of(net.b, 1);
    CHECK_THROWS_WITH(
        trainer.step(),
        said_here(
            "step: gradient of 'a' holds 2 values that are NaN or infinite (first on cpu:0); parameters unchanged")
            .c_str());
    CHECK(value(net.b) == std::vector<float>{1, 1});
    backward_of(net.a, 1);
    CHECK_NOTHROW(trainer.step());
  }

  TEST_CASE("a failed backward pass makes its gradients stale; the next step refuses by name") {
    const DeviceGuard here(device_here(0));
    Two net;
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
    backward_of(net.a, 1), backward_of(net.b, 1);
    Tensor loss;
    {
      const autograd::Record record;
      Tensor y = net.b.on(device_here(0)) * 2.0;
      autograd::as_node(y.impl().slot)->add_hook(0, [](const Tensor&) -> Tensor { throw Error("hook"); });
      loss = y.sum();
    }
    CHECK_THROWS_WITH(loss.backward(), "hook");
    CHECK_THROWS_AS(trainer.step(), AutogradError);
    backward_of(net.b, 1);
    CHECK_NOTHROW(trainer.step());
  }

  TEST_CASE("state carries no devices: training goes on elsewhere with the same bits") {
    const DeviceGuard here(device_here(0));
    const auto train = [](Trainer& trainer, const nn::Parameter& p, int places, int steps) {
      for (int i = 0; i < steps; ++i) {
        for (int place = 0; place < places; ++place) backward_of(p, 0.5 * (i + 1) / places, place);
        trainer.step();
      }
    };
    const nn::optim::Adam adam({.lr = 0.125});
    struct One : nn::Module {
      nn::Parameter a{ones({2})};
      WEFT_MEMBERS(a)
    } whole, first, second;
    Trainer uninterrupted(whole.parameters(), adam);
    train(uninterrupted, whole.a, 1, 3), train(uninterrupted, whole.a, 1, 3);
    Trainer before(first.parameters(), adam);
    train(before, first.a, 1, 3);
    second.copy_from(first);
    second.to(devices_here(2));
    Trainer after(second.parameters(), adam);
    after.load_state(before.state());
    train(after, second.a, 2, 3);
    CHECK(value(second.a, 1) == value(whole.a));
    CHECK_THROWS_AS(after.load_state({}), CheckpointError);
  }

  TEST_CASE("states keep the names of the start, and two modules may use the same ones") {
    const DeviceGuard here(device_here(0));
    struct Pair : nn::Module {
      Two first, second;
      WEFT_MEMBERS(first, second)
    } net;
    const auto names = [](const Trainer& trainer) {
      std::vector<std::string> list;
      for (const auto& [name, tensor] : trainer.state()) list.push_back(name);
      return list;
    };
    const nn::optim::SGD sgd({.momentum = 0.5});
    Trainer trainer(net.parameters(), sgd);
    const auto before = names(trainer);
    CHECK(before[1] == "first.a.momentum");
    net.second.parameters();  // gives them names of their own
    CHECK(names(trainer) == before);
    CHECK_NOTHROW(trainer.load_state(trainer.state()));
    std::vector<nn::Parameter> both = net.first.parameters();
    for (const nn::Parameter& p : net.second.parameters()) both.push_back(p);
    Trainer joint(both, sgd);
    CHECK(names(joint) ==
          std::vector<std::string>{"steps", "a.momentum", "b.momentum", "a#2.momentum", "b#2.momentum"});
  }

  TEST_CASE("module.to() after the trainer was built takes the state along") {
    const DeviceGuard here(device_here(0));
    Two net;
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1, .momentum = 1}));
    backward_of(net.a, 1), backward_of(net.b, 1);
    trainer.step();
    net.to({device_here(1), device_here(2)});
    for (const int place : {0, 1}) backward_of(net.a, 0.5, place), backward_of(net.b, 0.5, place);
    trainer.step();
    for (int i = 0; i < 2; ++i) CHECK(value(net.a, i) == std::vector<float>{-2, -2});
  }

  TEST_CASE("groups: own rate, decay and multipliers, read at every step; a schedule scales all alike") {
    const DeviceGuard here(device_here(0));
    Two net;
    net.parameters();
    Trainer trainer(std::vector<nn::optim::ParameterGroup>{{.parameters = {net.a}, .lr = 2, .weight_decay = 0.5},
                                                           {.parameters = {net.b}, .lr_mult = 0.5, .wd_mult = 0}},
                    nn::optim::SGD({.lr = 1, .weight_decay = 1}));
    backward_of(net.a, 1), backward_of(net.b, 1);
    trainer.step();
    CHECK(value(net.a) == std::vector<float>{-2, -2});  // 1 - 2 (1 + 0.5)
    CHECK(value(net.b) == std::vector<float>{0.5, 0.5});
    trainer.set_learning_rate(0.25);
    trainer.group(0).weight_decay = 0;
    trainer.group(1).lr_mult = 4;
    backward_of(net.a, 1), backward_of(net.b, 1);
    trainer.step();
    CHECK(value(net.a) == std::vector<float>{-2.5, -2.5});
    CHECK(value(net.b) == std::vector<float>{-0.5, -0.5});
    CHECK_THROWS_AS(trainer.group(2), IndexError);
    CHECK_THROWS_WITH(Trainer(std::vector<nn::optim::ParameterGroup>{{.parameters = {net.a}}, {.parameters = {net.a}}},
                              nn::optim::SGD()),
                      "Trainer: parameter 'a' is listed in group 0 and again in group 1");
  }

  TEST_CASE("clipping: of the sums over devices, divided by n") {
    const DeviceGuard here(device_here(0));
    Two net;
    net.to(devices_here(2));
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
    const auto pass = [&] {
      for (const int place : {0, 1}) backward_of(net.a, 6, place);
      backward_of(net.b, 4, 1);
    };
    pass();
    const double norm = std::sqrt(2 * 12.0 * 12 + 2 * 4 * 4);
    CHECK(trainer.clip_grad_norm(1000, 2) == doctest::Approx(norm / 2));
    CHECK(net.a.grad_at(1).to_vector<float>() == std::vector<float>{12, 12});
    CHECK(trainer.clip_grad_norm(norm / 8, 2) == doctest::Approx(norm / 2));
    trainer.update(2);
    for (int i = 0; i < 2; ++i) {
      CHECK(value(net.a, i)[0] == doctest::Approx(1 - 6. / 4));
      CHECK(value(net.b, i)[1] == doctest::Approx(1 - 2. / 4));
    }
    pass();
    trainer.clip_grad_value(1);
    CHECK(net.b.grad_at(0).to_vector<float>() == std::vector<float>{1, 1});
    CHECK_NOTHROW(trainer.step());
  }

  TEST_CASE("no_sync: passes add up until the next update, as one large batch") {
    const DeviceGuard here(device_here(0));
    Two net;
    net.to(devices_here(2));
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
    for (int round = 0; round < 2; ++round) {  // gradients of the first step do not count in the second
      for (int part = 0; part < 2; ++part) {
        const auto scope = trainer.no_sync();
        backward_of(net.a, 0.25, 0), backward_of(net.a, 0.5, 1), backward_of(net.b, 1, 0);
        CHECK_THROWS_WITH_AS(trainer.step(), "step: gradients gather under no_sync(); end its scope first",
                             AutogradError);
      }
      backward_of(net.a, 0.5, 0);  // after the scope: still added
      trainer.step();
      CHECK(net.a.grad_at(1).to_vector<float>() == std::vector<float>{2, 2});
      CHECK(net.a.request() == GradReq::write);
      for (int i = 0; i < 2; ++i) {
        CHECK(value(net.a, i)[0] == 1.f - 2 * static_cast<float>(round + 1));
        CHECK(value(net.b, i)[0] == 1.f - 2 * static_cast<float>(round + 1));
      }
    }
    CHECK_THROWS_AS(trainer.step(), AutogradError);  // nothing fresh
  }

  TEST_CASE("no_sync keeps gradients that no step has used, zero_grad drops them") {
    const DeviceGuard here(device_here(0));
    Two net;
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}), {.ignore_stale_grad = true});
    backward_of(net.a, 1);
    {
      const auto scope = trainer.no_sync();
      backward_of(net.a, 2), backward_of(net.b, 1);
    }
    CHECK(net.a.grad_at(0).to_vector<float>() == std::vector<float>{3, 3});
    trainer.zero_grad();
    CHECK_FALSE(net.a.grad_at(0).defined());
    backward_of(net.b, 2), backward_of(net.b, 2);  // `write` again
    trainer.step();
    CHECK(value(net.a) == std::vector<float>{1, 1});
    CHECK(value(net.b) == std::vector<float>{-1, -1});
  }

  TEST_CASE("a backward pass into sums is an error; with all copies written anew it is not") {
    const DeviceGuard here(device_here(0));
    Two net;
    net.to(devices_here(2));
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
    const auto pass = [&](int place) { backward_of(net.a, 1, place), backward_of(net.b, 1, place); };
    pass(0), pass(1);
    trainer.allreduce_grads();
    pass(1);
    CHECK_THROWS_AS(trainer.step(), AutogradError);
    CHECK(value(net.a) == std::vector<float>{1, 1});
    pass(0);
    trainer.step();
    CHECK(value(net.a, 1) == std::vector<float>{-1, -1});
  }

  TEST_CASE("parameters frozen later are left out; gradients from before module.to() are not used twice") {
    const DeviceGuard here(device_here(0));
    Two net;
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
    backward_of(net.a, 1), backward_of(net.b, 1);
    trainer.step();
    net.b.set_request(GradReq::null);
    net.to(devices_here(2));
    CHECK_THROWS_AS(trainer.step(), AutogradError);
    backward_of(net.a, 1, 1);
    trainer.step();
    CHECK(value(net.a) == std::vector<float>{-1, -1});
    CHECK(value(net.b) == std::vector<float>{0, 0});
  }

  TEST_CASE("parameters on different devices are an error that names two") {
    if (!distinct_or_skip(2)) return;
    const DeviceGuard here(device_here(0));
    Two net;
    net.parameters();
    const Device one[] = {device_here(1)};
    net.b.to(one);
    CHECK_THROWS_AS(Trainer(net.parameters(), nn::optim::SGD()), DeviceError);
  }
}
