// Training in 16 bits: autocast on several devices, and gradients of scaled losses, with an overflow on one of them.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/parallel/devices.h"
#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/where.h"
#include "weft/autograd/record_scope.h"
#include "weft/nn/nn.h"
#include "weft/nn/optim/grad_scaler.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

struct Net : nn::Module {
  nn::Conv2d conv{2, 6, {.kernel = 3, .padding = 1}};
  nn::BatchNorm2d norm{6, {.relu = true, .sync = true}};
  nn::Conv2d body{6, 6, {.kernel = 3, .padding = 1}};
  nn::BatchNorm2d norm2{6, {.relu = true, .sync = true}};
  nn::Conv2d head{6, 3, {.kernel = 1}};
  WEFT_MEMBERS(conv, norm, body, norm2, head)
  Tensor forward(const Tensor& x) const { return head(norm2(body(norm(conv(x))))); }
};

struct Setting {
  DType dtype = DType::f32;  // of products
  int shares = 0;
  bool scaled = false, adam = false;
  double max_norm = 0;      // 0: no clipping
  int overflow = -1;        // the step at which the last sample overflows
  bool leaves_out = false;  // that step is not made at all
  int resume = -1;          // the step before which all state goes through a checkpoint
};

struct Result {
  std::vector<float> values;
  std::vector<double> losses;
  bool copies_agree = true;
  double scale = 0;
};

std::unique_ptr<nn::optim::Optimizer> optimizer_of(const Setting& s) {
  if (s.adam) return std::make_unique<nn::optim::Adam>(nn::optim::AdamOptions{.lr = 0.01});
  return std::make_unique<nn::optim::SGD>(nn::optim::SGDOptions{.lr = 0.1, .momentum = 0.9});
}

// The labels say which of two channels is larger, or that both are small.
Tensor labels_of(const Tensor& x) {
  const Tensor a = x.slice(1, 0, 1).squeeze(1), b = x.slice(1, 1, 2).squeeze(1);
  const Tensor small = less(maximum(a, b), 0.0).to(DType::i64);
  return where(small.to(DType::boolean), small * 2, less(a, b).to(DType::i64));
}

Result train(const std::vector<Device>& devices, const Setting& s, int steps) {
  const GeneratorGuard seed(Generator(3));
  const DeviceGuard host("cpu");
  Net net;
  const DataParallelOptions options = wrapped({.shares = s.shares});
  const DataParallelModel model(net, devices, options);
  const DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(), devices, options);
  auto trainer = std::make_unique<Trainer>(net.parameters(), optimizer_of(s));
  auto scaler = std::make_unique<nn::optim::GradScaler>(
      nn::optim::GradScalerOptions{.init_scale = 1024, .growth_interval = 4, .enabled = s.scaled});
  Result result;
  for (int step = 0; step < steps; ++step) {
    if (step == s.resume) {
      const auto kept = trainer->state();
      const auto scale = scaler->state();
      trainer = std::make_unique<Trainer>(net.parameters(), optimizer_of(s));
      scaler = std::make_unique<nn::optim::GradScaler>(
          nn::optim::GradScalerOptions{.init_scale = 7, .growth_interval = 4, .enabled = s.scaled});
      trainer->load_state(kept);
      scaler->load_state(scale);
    }
    const Tensor x = randn({8, 2, 6, 6}), y = labels_of(x);
    if (step == s.overflow) {
      if (s.leaves_out) continue;
      x.slice(0, 7, 8).mul_(std::numeric_limits<double>::infinity());
    }
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      const autograd::Autocast autocast(s.dtype == DType::f32 ? DType::bf16 : s.dtype,
                                        {.enabled = s.dtype != DType::f32});
      losses = criterion(model(x), y);
    }
    parallel_backward(scaler->scale(losses));
    if (s.max_norm > 0) {
      trainer->unscale_grads(*scaler);
      const double norm = trainer->clip_grad_norm(s.max_norm);
      CHECK(std::isfinite(norm) == (step != s.overflow));
    }
    trainer->step(1, *scaler);
    scaler->update();
    if (step != s.overflow) result.losses.push_back(total(losses));
  }
  for (const nn::Parameter& p : net.parameters()) {
    const std::vector<float> first = p.at(0).to("cpu").to_vector<float>();
    result.values.insert(result.values.end(), first.begin(), first.end());
    for (int i = 1; i < p.places(); ++i) result.copies_agree &= p.at(i).to("cpu").to_vector<float>() == first;
  }
  result.scale = scaler->current_scale();
  return result;
}

// A linear net without norms, of whose statistics an overflow would leave traces.
struct Plain : nn::Module {
  nn::Linear hidden{3, 8}, out{8, 2};
  WEFT_MEMBERS(hidden, out)
  Tensor forward(const Tensor& x) const { return out(relu(hidden(x))); }
};

Result train_plain(const std::vector<Device>& devices, const Setting& s, int steps) {
  const GeneratorGuard seed(Generator(4));
  const DeviceGuard host("cpu");
  Plain net;
  const DataParallelModel model(net, devices, wrapped());
  const DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(), devices, wrapped());
  Trainer trainer(net.parameters(), optimizer_of(s));
  nn::optim::GradScaler scaler({.init_scale = 1024, .growth_interval = 1000, .enabled = s.scaled});
  Result result;
  for (int step = 0; step < steps; ++step) {
    Tensor x = randn({8, 3});
    const Tensor y = greater(x.slice(1, 0, 1).squeeze(1), 0.0).to(DType::i64);
    if (step == s.overflow) {
      if (s.leaves_out) continue;
      x.slice(0, 7, 8).mul_(std::numeric_limits<double>::infinity());
    }
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(x), y);
    }
    parallel_backward(scaler.scale(losses));
    if (s.max_norm > 0) {
      trainer.unscale_grads(scaler);
      CHECK(std::isfinite(trainer.clip_grad_norm(s.max_norm)) == (step != s.overflow));
    }
    trainer.step(1, scaler);
    scaler.update();
  }
  for (const nn::Parameter& p : net.parameters()) {
    const std::vector<float> first = p.at(0).to("cpu").to_vector<float>();
    result.values.insert(result.values.end(), first.begin(), first.end());
    for (int i = 1; i < p.places(); ++i) result.copies_agree &= p.at(i).to("cpu").to_vector<float>() == first;
  }
  result.scale = scaler.current_scale();
  return result;
}

double mean_of_last(const std::vector<double>& losses, size_t count) {
  double sum = 0;
  for (size_t i = losses.size() - count; i < losses.size(); ++i) sum += losses[i] / static_cast<double>(count);
  return sum;
}

}  // namespace

TEST_SUITE("parallel/mixed_precision") {
  TEST_CASE("bf16 autocast: the same bits on 1 and 2 devices with shares, and about f32's loss") {
    for (const DeviceType type : kinds()) {
      const int steps = natively_or(type, 40, 2);
      const Setting setting{.dtype = DType::bf16, .shares = 2};
      const Result one = train(devices_of(type, 1), setting, steps), two = train(devices_of(type, 2), setting, steps);
      CHECK(one.values == two.values);
      CHECK(one.losses == two.losses);
      CHECK(two.copies_agree);
      const Result wide = train(devices_of(type, 2), {.shares = 2}, steps);
      CHECK(wide.values != two.values);
      if (steps < 40) continue;
      const double in_f32 = mean_of_last(wide.losses, 5), in_bf16 = mean_of_last(two.losses, 5);
      CHECK(in_f32 < 0.6 * wide.losses[0]);
      CHECK(std::fabs(in_bf16 - in_f32) < 0.1 * in_f32);
    }
  }

  TEST_CASE("sync batch norm adds a residual of another width: both get gradients, as on one device") {
    struct Block : nn::Module {
      nn::BatchNorm2d norm{2, {.relu = true, .sync = true}};
      DType main = DType::f32, residual = DType::f32;
      WEFT_MEMBERS(norm)
      Tensor forward(const Tensor& x) const { return norm.forward(x.to(main), (x * 2).to(residual)); }
    };
    const Tensor x = randn({5, 2, 3, 2}), dy = randn({5, 2, 3, 2});
    for (const auto& [main, residual] :
         {std::pair(DType::bf16, DType::f32), std::pair(DType::f32, DType::bf16), std::pair(DType::f16, DType::f32)}) {
      CAPTURE(main);
      CAPTURE(residual);
      std::vector<std::vector<float>> expected;
      for (const int n : {1, 2, 3}) {
        CAPTURE(n);
        Block block;
        block.main = main, block.residual = residual;
        const DataParallelModel model(block, devices_here(n), wrapped());
        const Tensor leaf = x.clone().attach_grad();
        Tensor y;
        {
          const autograd::Record record;
          const autograd::Autocast autocast(main == DType::f16 ? DType::f16 : DType::bf16);
          y = gather(model(leaf), device_here(0));
        }
        CHECK(y.dtype() == DType::f32);
        const Tensor dx = autograd::grad({y}, {leaf}, {.head_grads = {dy.to(y.device())}})[0];
        const std::vector<std::vector<float>> found{y.to_vector<float>(), dx.to_vector<float>()};
        if (n == 1) expected = found;
        for (size_t k = 0; k < found.size(); ++k)
          for (size_t i = 0; i < found[k].size(); ++i)
            CHECK(std::fabs(found[k][i] - expected[k][i]) <= (k == 0 ? 1e-4 : 0.02) * (1 + std::fabs(expected[k][i])));
      }
    }
  }

  TEST_CASE("f16 autocast with a scaler trains like f32") {
    for (const DeviceType type : kinds()) {
      const int steps = natively_or(type, 40, 2);
      const Result half = train(devices_of(type, 2), {.dtype = DType::f16, .scaled = true}, steps);
      const Result wide = train(devices_of(type, 2), {}, steps);
      CHECK(half.copies_agree);
      const double in_f32 = mean_of_last(wide.losses, 2), in_f16 = mean_of_last(half.losses, 2);
      CHECK(std::fabs(in_f16 - in_f32) < 0.1 * in_f32);
    }
  }

  TEST_CASE("a scale that is a power of two changes no bit of an f32 training, clipped or not") {
    for (const DeviceType type : kinds())
      for (const bool adam : {false, true})
        for (const double max_norm : {0.0, 0.05}) {
          CAPTURE(adam);
          CAPTURE(max_norm);
          Setting setting{.adam = adam, .max_norm = max_norm};
          const int steps = natively_or(type, 6, 2);
          const Result plain = train_plain(devices_of(type, 2), setting, steps);
          setting.scaled = true;
          const Result scaled = train_plain(devices_of(type, 2), setting, steps);
          CHECK(plain.values == scaled.values);
          CHECK(scaled.scale == 1024);
        }
  }

  TEST_CASE("an overflow on one of 4 devices: no device steps, and the training goes on as if the step had not been") {
    for (const DeviceType type : kinds())
      for (const bool adam : {false, true})
        for (const double max_norm : {0.0, 0.05}) {
          CAPTURE(adam);
          CAPTURE(max_norm);
          Setting setting{.scaled = true, .adam = adam, .max_norm = max_norm, .overflow = 1};
          const int steps = natively_or(type, 6, 3);
          const Result skipped = train_plain(devices_of(type, 4), setting, steps);
          CHECK(skipped.copies_agree);
          CHECK(skipped.scale == 512);
          setting.leaves_out = true;
          const Result without = train_plain(devices_of(type, 4), setting, steps);
          CHECK(without.scale == 1024);
          CHECK(skipped.values == without.values);
          for (const float v : skipped.values) REQUIRE(std::isfinite(v));
        }
  }

  TEST_CASE("a training with a scaler goes on from its states with the same bits") {
    for (const bool adam : {false, true}) {
      Setting setting{.dtype = DType::f16, .scaled = true, .adam = adam, .overflow = 2};
      const Result whole = train(cpus(2), setting, 10);
      setting.resume = 5;
      const Result resumed = train(cpus(2), setting, 10);
      CHECK(whole.values == resumed.values);
      CHECK(whole.scale == resumed.scale);
      CHECK(whole.scale == 1024);  // half for the overflow, twice after four steps
    }
  }
}
