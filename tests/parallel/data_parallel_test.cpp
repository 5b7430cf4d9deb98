// One module on several devices: the same training whatever the number of devices, and errors that say where.
#include "weft/parallel/data_parallel.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/parallel/devices.h"
#include "weft/nn/nn.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/trainer.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

struct Net : nn::Module {
  nn::Conv2d conv{2, 6, {.kernel = 3, .padding = 1}};
  nn::BatchNorm2d norm{6, {.relu = true, .sync = true}};
  nn::Dropout drop{0.25};
  nn::Conv2d head{6, 3, {.kernel = 1}};
  nn::Conv2d aux{6, 3, {.kernel = 1}};
  WEFT_MEMBERS(conv, norm, drop, head, aux)
  std::tuple<Tensor, Tensor> forward(const Tensor& x) const {
    const Tensor features = norm(conv(x));
    return {head(drop(features)), aux(features)};
  }
};

struct Run {
  std::vector<double> losses;
  std::vector<std::vector<float>> parameters;
};

// Some steps of a segmentation net on fixed random images, batches of different sizes, some labels ignored.
Run train(const std::vector<Device>& devices, const DataParallelOptions& options, const std::vector<int64_t>& batches) {
  seed(11);
  Net net;
  if (devices.empty()) net.to(current_device());
  DataParallelModel model(net, devices, wrapped(options));
  DataParallelCriterion criterion(nn::MixSoftmaxCrossEntropyLoss(0.4), devices, wrapped(options));
  Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-3}));
  Run run;
  uint64_t state = 5;
  for (const int64_t batch : batches) {
    const Tensor image = randn({batch, 2, 6, 5});
    std::vector<int64_t> labels(static_cast<size_t>(batch * 30));
    for (int64_t& label : labels) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      label = static_cast<int64_t>(state >> 33) % 4 - 1;
    }
    const Tensor mask = tensor(labels, {batch, 6, 5});
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(image), mask);
    }
    parallel_backward(losses);
    trainer.step();
    run.losses.push_back(total(losses));
  }
  for (const nn::Parameter& p : net.parameters()) {
    for (int i = 1; i < p.places(); ++i) CHECK(p.at(i).to_vector<float>() == p.at(0).to_vector<float>());
    run.parameters.push_back(p.at(0).to_vector<float>());
  }
  for (const nn::Buffer& b : net.buffers()) {
    for (int i = 1; i < b.places(); ++i) CHECK(b.at(i).to_vector<float>() == b.at(0).to_vector<float>());
    run.parameters.push_back(b.at(0).to_vector<float>());
  }
  return run;
}

double difference(const Run& a, const Run& b) {
  double most = 0;
  for (size_t k = 0; k < a.parameters.size(); ++k)
    for (size_t i = 0; i < a.parameters[k].size(); ++i)
      most = std::max(most, std::fabs(static_cast<double>(a.parameters[k][i]) - b.parameters[k][i]));
  for (size_t k = 0; k < a.losses.size(); ++k) most = std::max(most, std::fabs(a.losses[k] - b.losses[k]));
  return most;
}

bool same(const Run& a, const Run& b) { return a.losses == b.losses && a.parameters == b.parameters; }

const std::vector<int64_t> uneven{8, 8, 7, 5, 3, 1, 2, 8, 6, 8, 4, 8};

// A linear layer whose values and data are small integers: sums are exact in any order.
struct Whole : nn::Module {
  nn::Linear fc{3, 2};
  WEFT_MEMBERS(fc)
  Whole() {
    fc.weight.set(tensor({{1.f, -2.f, 3.f}, {0.f, 1.f, -1.f}}));
    fc.bias.set(tensor({2.f, -1.f}));
  }
  Tensor forward(const Tensor& x) const { return fc(x); }
};

}  // namespace

TEST_SUITE("parallel/data_parallel") {
  TEST_CASE("1 to 4 devices give the same training up to the order of sums") {
    const Run one = train(devices_here(1), {}, uneven);
    for (const int n : {2, 3, 4}) {
      CAPTURE(n);
      CHECK(difference(train(devices_here(n), {}, uneven), one) < 2e-4);
    }
    CHECK(difference(train({}, {}, uneven), one) < 2e-4);
  }

  TEST_CASE("the same devices give the same bits from run to run, with and without sync") {
    const Run first = train(devices_here(3), {}, uneven);
    CHECK(same(train(devices_here(3), {}, uneven), first));
    CHECK(same(train(devices_here(3), {.sync = true}, uneven), first));
  }

  TEST_CASE("shares: the same bits on 1, 2 and 4 devices") {
    const Run one = train(devices_here(1), {.shares = 4}, uneven);
    CHECK(same(train(devices_here(2), {.shares = 4}, uneven), one));
    CHECK(same(train(devices_here(4), {.shares = 4}, uneven), one));
    CHECK(difference(train(devices_here(1), {}, uneven), one) < 2e-4);
  }

  TEST_CASE("integer-valued data: equal bits on 1 to 4 devices, batches 1 to 9") {
    for (int64_t batch = 1; batch <= 9; ++batch) {
      std::vector<float> expected_gradient;
      double expected_loss = 0;
      const Tensor x = arange(0, static_cast<double>(batch * 3)).reshape({batch, 3});
      for (int n = 1; n <= 4; ++n) {
        Whole net;
        const auto devices = devices_here(n);
        DataParallelModel model(net, devices, wrapped());
        PerDevice<Tensor> outputs, losses;
        {
          const autograd::Record record;
          outputs = model(x);
          Tensors sums;
          for (const Tensor& y : outputs) sums.push_back(y.sum());
          losses = PerDevice<Tensor>(outputs.devices(), sums);
        }
        parallel_backward(losses);
        Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
        trainer.allreduce_grads();
        const auto gradient = net.fc.weight.grad_at(n - 1).to_vector<float>();
        if (n == 1) {
          expected_gradient = gradient;
          expected_loss = total(losses);
        }
        CHECK(outputs.size() == std::min<int64_t>(n, batch));
        CHECK(gradient == expected_gradient);
        CHECK(total(losses) == expected_loss);
      }
    }
  }

  TEST_CASE("outputs of any type keep it, one per device") {
    struct Many : nn::Module {
      std::pair<Tensor, std::vector<Tensor>> forward(const Tensor& x, double factor) const {
        return {x * factor, {x, x}};
      }
    } module;
    for (const int n : {0, 1, 2}) {
      CAPTURE(n);
      const DataParallelModel model(module, devices_here(n), wrapped());
      const PerDevice<std::pair<Tensor, std::vector<Tensor>>> outputs = model(ones({4, 1}), 3.0);
      CHECK(outputs.size() == std::max(n, 1));
      CHECK(outputs[0].second.size() == 2);
      CHECK(outputs[0].first.sum().item<float>() == 12.f / static_cast<float>(std::max(n, 1)));
    }
  }

  TEST_CASE("a callable's mean is weighted by its share, a tuple of losses stays one") {
    const auto devices = devices_here(2);
    const auto x = split_and_load(arange(1, 6), devices, 0, false);  // 1 2 3 and 4 5
    const DataParallelCriterion mean_of([](const Tensor& y) { return y.mean(); }, devices, wrapped());
    CHECK(total(mean_of(x)) == doctest::Approx(3));
    const DataParallelCriterion two(
        [](const Tensor& y, const Tensor& t) { return std::tuple(y.mean(), (y * t).mean()); }, devices, wrapped());
    const PerDevice<std::tuple<Tensor, Tensor>> losses = two(x, full({5}, 2));
    CHECK(std::get<0>(losses[0]).item<float>() + std::get<0>(losses[1]).item<float>() == doctest::Approx(3));
    CHECK(std::get<1>(losses[0]).item<float>() + std::get<1>(losses[1]).item<float>() == doctest::Approx(6));
    const DataParallelCriterion other([](const Tensor& y) { return y.mean(); }, devices_here(1), wrapped());
    CHECK_THROWS_AS(other(x), DeviceError);
  }

  TEST_CASE("what fails on any device comes out with its device, and the next call works") {
    struct Fragile : nn::Module {
      mutable std::atomic<int> bad{-1};
      Tensor forward(const Tensor& x) const {
        if (current_rank().rank == bad) fail<ShapeError>("matmul: inner sizes differ, [8, 3] x [4, 5]");
        if (bad == 9) throw 42;
        return x;
      }
    } module;
    const DataParallelModel model(module, devices_here(4), wrapped());
    module.bad = 1;
    CHECK_THROWS_WITH_AS(
        model(ones({8})),
        said_here("parallel: 1 of 4 devices failed. cpu:1: matmul: inner sizes differ, [8, 3] x [4, 5]").c_str(),
        WorkerErrors);
    module.bad = 9;
    CHECK_THROWS_WITH_AS(
        model(ones({2})),
        said_here("parallel: 2 of 2 devices failed. cpu:0: threw a value of type int. cpu:1: threw a value of type int")
            .c_str(),
        WorkerErrors);
    module.bad = -1;
    CHECK(model(ones({8})).size() == 4);
  }

  TEST_CASE("a rank that fails before a collective fails the call, not the others' time") {
    struct Collective : nn::Module {
      nn::BatchNorm2d norm{1, {.sync = true}};
      WEFT_MEMBERS(norm)
      Tensor forward(const Tensor& x) const {
        if (current_rank().rank == 2) fail<Error>("broken");
        return norm(x);
      }
    } module;
    const DataParallelModel model(module, devices_here(3), wrapped());
    const autograd::Record record;
    CHECK_THROWS_WITH_AS(model(ones({6, 1, 2, 2})), said_here("parallel: 1 of 3 devices failed. cpu:2: broken").c_str(),
                         WorkerErrors);
  }

  TEST_CASE("devices: duplicates, shares that do not fit, unknown ones") {
    Whole net;
    CHECK_THROWS_AS(DataParallelModel(net, {device_here(0), device_here(0)}), DeviceError);
    CHECK_NOTHROW(DataParallelModel(net, {device_here(0), device_here(0)}, {.allow_duplicates = true}));
    for (const int shares : {3, 6})
      CHECK_THROWS_AS(DataParallelModel(net, devices_here(2), wrapped({.shares = shares})), DeviceError);
    const DataParallelCriterion criterion([](const Tensor& y) { return y.mean(); }, devices_here(2), wrapped());
    const Tensors y{ones({1}, {.device = device_here(1)}), ones({1}, {.device = device_here(0)})};
    CHECK(total(criterion(PerDevice<Tensor>({y[0].device()}, {y[0]}))) == 1);
    if (distinct_or_skip(2))
      CHECK_THROWS_AS(criterion(PerDevice<Tensor>({y[0].device(), y[1].device()}, y)), DeviceError);
    CHECK_THROWS_AS(DataParallelModel(net, {"cuda:99"}), DeviceError);
  }

  TEST_CASE("gradients of a device listed twice add up") {
    Whole net;
    const DataParallelModel model(net, {device_here(0), device_here(0)}, {.allow_duplicates = true});
    PerDevice<Tensor> outputs;
    Tensors sums;
    {
      const autograd::Record record;
      outputs = model(ones({4, 3}));
      for (int i = 0; i < 2; ++i) {
        const RankGuard as({nullptr, 0, i});
        sums.push_back(outputs[i].sum());
      }
    }
    parallel_backward(PerDevice<Tensor>(outputs.devices(), sums));
    Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1}));
    trainer.allreduce_grads();
    CHECK(net.fc.bias.grad_at(0).to_vector<float>() == std::vector<float>{4, 4});
    CHECK(net.fc.bias.grad_at(1).to_vector<float>() == std::vector<float>{4, 4});
  }

  TEST_CASE("gather joins the outputs, recorded; the model prints") {
    Whole net, alone;
    const DataParallelModel model(net, devices_here(2), wrapped());
    const Tensor x = arange(0, 12).reshape({4, 3});
    CHECK(gather(model(x), device_here(0)).to_vector<float>() == alone.forward(x.to("cpu:0")).to_vector<float>());
    CHECK(to_string(model).find(said_here("DataParallelModel on cpu:0 cpu:1\nWhole  [8]")) == 0);
  }

  TEST_CASE("sync batch norm over uneven shares: value, statistics, first and second gradient as on one device") {
    const Tensor x = randn({5, 2, 3, 2}, {.dtype = DType::f64}), dy = randn({5, 2, 3, 2}, {.dtype = DType::f64});
    for (const bool with_relu : {false, true}) {
      CAPTURE(with_relu);
      std::vector<std::vector<double>> expected;
      for (const int n : {1, 2, 3}) {
        CAPTURE(n);
        nn::BatchNorm2d norm(2, {.relu = with_relu, .sync = true});
        norm.weight = nn::Parameter(tensor({1.5, -0.5}));
        norm.bias = nn::Parameter(tensor({0.25, 1.0}));
        norm.running_mean = nn::Buffer(zeros({2}, {.dtype = DType::f64}));
        norm.running_var = nn::Buffer(ones({2}, {.dtype = DType::f64}));
        const auto devices = devices_here(n);
        const DataParallelModel model(norm, devices, wrapped());
        Tensor leaf = x.clone().attach_grad();
        Tensor y, dx, penalty;
        {
          const autograd::Record record;
          y = gather(model(leaf), device_here(0));
          dx = autograd::grad({y}, {leaf}, {.head_grads = {dy.to(y.device())}, .create_graph = true})[0];
          penalty = (dx * dx * dx).sum();
        }
        const Tensors second = autograd::grad({penalty}, {leaf}, {});
        const std::vector<std::vector<double>> found{
            y.to_vector<double>(), dx.to_vector<double>(), second[0].to_vector<double>(),
            norm.running_mean.at(0).to_vector<double>(), norm.running_var.at(0).to_vector<double>()};
        if (n == 1) expected = found;
        for (size_t k = 0; k < found.size(); ++k)
          for (size_t i = 0; i < found[k].size(); ++i)
            CHECK(found[k][i] == doctest::Approx(expected[k][i]).epsilon(1e-9));
      }
    }
  }
}
