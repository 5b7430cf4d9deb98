// Defects D10 to D21 of the original's model, criterion and splitting: weft does better, the original does not.
#include <doctest/doctest.h>

#include <set>

#include "tests/parallel/devices.h"
#include "tests/parallel/original.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/nn/linear.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;
using original::dict;
using original::Value;
using original::Values;

namespace {

struct Scale : nn::Module {
  nn::Parameter w{ones({1})};
  WEFT_MEMBERS(w)
  Tensor forward(const Tensor& x) const { return x * w.on(x.device()); }
};

original::Module identity() {
  return {[](const Values& arguments, const Value&) { return arguments[0]; }};
}

// A module from a callable, for outputs of any type.
template <class F>
struct Of : nn::Module {
  F f;
  explicit Of(F function) : f(std::move(function)) {}
  template <class... Args>
  auto forward(const Args&... args) const {
    return f(args...);
  }
};

}  // namespace

TEST_SUITE("parallel/defects of model and criterion") {
  TEST_CASE("D10 no device list moves nothing") {
    const DeviceGuard here(device_here(0));
    Scale net;
    net.to(device_here(1));
    const DataParallelModel model(net);
    CHECK(net.w.devices() == std::vector<Device>{device_here(1)});
    CHECK(model(ones({2}, {.device = device_here(1)}))[0].device() == device_here(1));

    if (!distinct_or_skip(2)) return;
    original::Parameter w(ones({1}, {.device = device_here(1)}));
    original::Module module = identity();
    module.parameters = {&w};
    const original::DataParallelModel theirs(module, {});
    CHECK(w.data.count(device_here(1)) == 0);
  }

  TEST_CASE("D11 outputs nest alike for none, one and several devices") {
    const DeviceGuard here(device_here(0));
    Scale net;
    for (const int n : {0, 1, 2}) {
      const PerDevice<Tensor> y = DataParallelModel(net, devices_here(n), wrapped())(ones({4}));
      CHECK(y.size() == std::max(n, 1));
      CHECK(y[0].numel() == 4 / std::max(n, 1));
    }
    original::Module module = identity();
    std::set<int> depths;
    for (const int n : {0, 1, 2})
      depths.insert(original::depth(original::DataParallelModel(module, devices_here(n))({ones({4})})));
    CHECK(depths.size() > 1);
  }

  TEST_CASE("D12 maps, nests and nothing are outputs with and without sync") {
    const DeviceGuard here(device_here(0));
    const Of maps([](const Tensor& x) { return std::map<std::string, Tensor>{{"x", x}}; });
    const Of nests([](const Tensor& x) { return std::tuple(x, std::tuple(x, x)); });
    const Of nothing([](const Tensor&) { return std::optional<Tensor>(); });
    for (const bool sync : {false, true}) {
      CHECK(DataParallelModel(maps, devices_here(2), wrapped({.sync = sync}))(ones({4}))[1].at("x").numel() == 2);
      CHECK(std::get<0>(std::get<1>(DataParallelModel(nests, devices_here(2), wrapped({.sync = sync}))(ones({4}))[1]))
                .numel() == 2);
      CHECK_FALSE(DataParallelModel(nothing, devices_here(2), wrapped({.sync = sync}))(ones({4}))[1].has_value());
    }
    original::Module modules[] = {{[](const Values& a, const Value&) {
                                    return dict({{"x", a[0]}});
                                  }},
                                  {[](const Values& a, const Value&) {
                                    return original::tuple({a[0], original::tuple({a[0]})});
                                  }},
                                  {[](const Values&, const Value&) { return Value(); }}};
    for (original::Module& module : modules) {
      CHECK_NOTHROW(original::DataParallelModel(module, devices_here(2), false)({ones({4})}));
      CHECK_THROWS_AS(original::DataParallelModel(module, devices_here(2), true)({ones({4})}), original::PythonError);
    }
  }

  TEST_CASE("D13 a tuple of losses nests alike on one device and on several") {
    const DeviceGuard here(device_here(0));
    const auto two = [](const Tensor& y) { return std::tuple(y.mean(), y.sum()); };
    for (const int n : {1, 2}) {
      const DataParallelCriterion criterion(two, devices_here(n), wrapped());
      const PerDevice<std::tuple<Tensor, Tensor>> losses = criterion(split_and_load(ones({4}), devices_here(n)));
      CHECK(losses.size() == n);
    }
    original::Module module{[](const Values& a, const Value&) {
      return original::tuple({a[0].tensor.mean(), a[0].tensor.sum()});
    }};
    std::set<int> depths;
    for (const int n : {1, 2}) {
      Values outputs;
      for (const Tensor& share : split_and_load(ones({4}), devices_here(n)))
        outputs.push_back(original::tuple({share}));
      depths.insert(original::depth(original::DataParallelCriterion(module, devices_here(n))(
          original::tuple(outputs), {}, dict({{"k", original::object({1})}}))));
    }
    CHECK(depths.size() == 2);
  }

  TEST_CASE("D14 a criterion on one device refuses the outputs of two") {
    const DeviceGuard here(device_here(0));
    const auto product = [](const Tensor& y, const Tensor& t) { return (y * t.slice(0, 0, y.size(0))).sum(); };
    const DataParallelCriterion criterion(product, devices_here(1), wrapped());
    CHECK_THROWS_AS(criterion(split_and_load(ones({4}), devices_here(2)), ones({4})), DeviceError);

    original::Module module{[&](const Values& a, const Value&) -> Value { return product(a[0].tensor, a[1].tensor); }};
    const Value outputs = original::tuple({original::tuple({ones({2})}), original::tuple({ones({2})})});
    const Value loss = original::DataParallelCriterion(module, devices_here(1))(outputs, {ones({4})});
    CHECK(loss.items[0].tensor.item<float>() == 2);  // of 4: device 1's half is gone
  }

  TEST_CASE("D15 no sample is dropped where leaves differ") {
    const DeviceGuard here(device_here(0));
    const auto nest = std::tuple(ones({8}), ones({1}));
    CHECK_THROWS_AS(split_and_load(nest, devices_here(2), 0, false), ShapeError);

    const auto [inputs, named] =
        original::split_load_kwargs(original::tuple({ones({8}), ones({1})}), dict({}), devices_here(2));
    int64_t samples = 0;
    for (const Value& share : inputs) samples += share.items[0].tensor.numel();
    CHECK(samples == 4);
  }

  TEST_CASE("D16 named arguments never come without the positional ones") {
    const DeviceGuard here(device_here(0));
    std::atomic<int> calls{0};
    const Of net([&](const Tensor& x, double factor) {
      ++calls;
      return x * factor;
    });
    CHECK(DataParallelModel(net, devices_here(2), wrapped())(ones({1}), 2.0).size() == 1);
    CHECK(calls == 1);

    const auto [inputs, named] = original::split_load_kwargs(
        original::tuple({ones({1})}), dict({{"factor", original::object({2})}}), devices_here(2));
    CHECK(inputs.size() == 2);
    CHECK(inputs[1].items.empty());
  }

  TEST_CASE("D17 host arrays are split") {
    const DeviceGuard here(device_here(0));
    const std::vector<float> host{1, 2, 3, 4};
    CHECK(split_and_load(host, devices_here(2))[1] == std::vector<float>{3, 4});
    CHECK(original::split_map(original::object(host), devices_here(2))[1].other == host);
  }

  TEST_CASE("D18 training mode reaches the workers without recording") {
    const DeviceGuard here(device_here(0));
    std::atomic<int> training{0}, their_training{0};
    const Of net([&](const Tensor& x) {
      training += autograd::is_training();
      return x;
    });
    original::Module module{[&](const Values& a, const Value&) {
      their_training += autograd::is_training();
      return a[0];
    }};
    const autograd::TrainMode train;
    DataParallelModel(net, devices_here(2), wrapped({.sync = true}))(ones({4}));
    original::DataParallelModel(module, devices_here(2), true)({ones({4})});
    CHECK(training == 2);
    CHECK(their_training == 0);
  }

  TEST_CASE("D19 an exception that is no std::exception is reported as what it is") {
    if (!distinct_or_skip(2)) return;
    const DeviceGuard here(device_here(0));
    const Of net([](const Tensor& x) -> Tensor {
      if (x.device().index == 1) throw 42;
      return x;
    });
    CHECK_THROWS_WITH_AS(DataParallelModel(net, devices_here(2), wrapped())(ones({4})),
                         said_here("parallel: 1 of 2 devices failed. cpu:1: threw a value of type int").c_str(),
                         WorkerErrors);
    original::Module module{[](const Values& a, const Value&) -> Value {
      if (a[0].tensor.device().index == 1) throw 42;
      return a[0];
    }};
    CHECK_THROWS_WITH_AS(original::DataParallelModel(module, devices_here(2), true)({ones({4})}), "KeyError: 1",
                         original::PythonError);
  }

  TEST_CASE("D20 the same threads serve every call") {
    const DeviceGuard here(device_here(0));
    std::mutex mutex;
    std::set<std::thread::id> threads;
    const Of net([&](const Tensor& x) {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
      return x;
    });
    const DataParallelModel model(net, devices_here(2), wrapped({.sync = true}));
    for (int i = 0; i < 10; ++i) model(ones({4}));
    CHECK(threads.size() == 2);

    original::Module module = identity();
    const original::DataParallelModel theirs(module, devices_here(2), true);
    const int before = original::threads_started();
    for (int i = 0; i < 10; ++i) theirs({ones({4})});
    CHECK(original::threads_started() - before == 20);
  }

  TEST_CASE("D21 a device listed twice: refused, or gradients that add up") {
    const DeviceGuard here(device_here(0));
    const std::vector<Device> twice{device_here(0), device_here(0)};
    Scale net;
    CHECK_THROWS_AS(DataParallelModel(net, twice), DeviceError);
    const DataParallelOptions options{.allow_duplicates = true};
    const DataParallelModel model(net, twice, options);
    const DataParallelCriterion mean([](const Tensor& y) { return y.mean(); }, twice, options);
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = mean(model(arange(1, 5)));  // 1 2 and 3 4
    }
    parallel_backward(losses);
    Trainer(net.parameters(), nn::optim::SGD({.lr = 1})).allreduce_grads();
    CHECK(net.w.grad_at(0).item<float>() == 2.5f);

    original::Parameter w(ones({1}));
    original::Module module{[&](const Values& a, const Value&) -> Value { return a[0].tensor * w.on(device_here(0)); },
                            {&w}};
    const original::DataParallelModel theirs(module, twice);
    Values their_losses;
    {
      const autograd::Record record;
      for (const Value& y : theirs({arange(1, 5)}).items) their_losses.push_back(y.items[0].tensor.mean());
    }
    original::parallel_backward(their_losses, false);
    CHECK(w.on(device_here(0)).grad().item<float>() == 3.5f);  // of the second half alone
  }
}
