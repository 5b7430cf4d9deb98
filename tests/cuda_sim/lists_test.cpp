// Kernels that move packs where addresses allow it and elements elsewhere: the same values, to the bit, whether
// operands are aligned or begin one element later; and lists of tensors that travel in one launch.
#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include "tests/cuda_sim/placed.h"
#include "tests/cuda_sim/sim.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/tensor/ops/foreach.h"
#include "weft/tensor/random.h"
#include "weft/tensor/tensor.h"

using namespace weft;
using namespace weft::test;

namespace {

const Device cuda0 = "cuda:0";

/// Numbers of elements: packs, with tails, and chunks of 4,096 with and without a rest.
const std::vector<int64_t> extents = {1, 2, 3, 4, 5, 63, 1025, 4096, 4099, 8192 + 4096 + 6};

/// Values and states after two steps, of gradients and values on the device `shift` elements off, or on the host.
std::vector<Tensor> updated(const nn::optim::Optimizer& optimizer, const std::vector<Tensor>& values,
                            const std::vector<Tensor>& gradients, int64_t shift, bool on_host) {
  std::vector<Tensor> result;
  std::vector<std::vector<Tensor>> states;
  std::vector<nn::optim::Update> updates;
  for (const Tensor& value : values) {
    result.push_back(on_host ? value.clone() : placed(value, shift));
    states.push_back(optimizer.make_state(value));
    for (Tensor& state : states.back()) state = on_host ? state : placed(state, shift);
  }
  for (size_t i = 0; i < values.size(); ++i)
    updates.push_back({result[i], on_host ? gradients[i] : placed(gradients[i], shift), states[i]});
  for (const int step : {1, 2}) optimizer.apply(updates, step, 0.5);
  for (const auto& state : states) result.insert(result.end(), state.begin(), state.end());
  return result;
}

std::vector<Tensor> random_tensors(DType dtype) {
  const DeviceGuard host("cpu");
  std::vector<Tensor> list;
  for (const int64_t n : extents) list.push_back(randn({n}).to(dtype));
  return list;
}

/// Kernels that run in `action`.
template <class Action>
int64_t kernels_of(const Action& action) {
  sim::run_all();
  const int64_t before = sim::kernels_run();
  action();
  sim::run_all();
  return sim::kernels_run() - before;
}

}  // namespace

TEST_CASE("updates: operands one element off, and tails: the bits of aligned ones, the values of the host") {
  const GeneratorGuard seed(Generator(3));
  const nn::optim::SGD plain({.lr = 0.25, .weight_decay = 0.125});
  const nn::optim::SGD sgd({.lr = 0.25, .momentum = 0.5, .weight_decay = 0.125, .nesterov = true});
  const nn::optim::AdamW adamw({.lr = 0.25, .weight_decay = 0.5});
  const nn::optim::RMSprop rmsprop({.lr = 0.01, .alpha = 0.5, .momentum = 0.5, .centered = true});
  for (const DType dtype : {DType::f32, DType::f64}) {
    const std::vector<Tensor> values = random_tensors(dtype), gradients = random_tensors(dtype);
    for (const nn::optim::Optimizer* optimizer :
         {static_cast<const nn::optim::Optimizer*>(&plain), static_cast<const nn::optim::Optimizer*>(&sgd),
          static_cast<const nn::optim::Optimizer*>(&adamw), static_cast<const nn::optim::Optimizer*>(&rmsprop)}) {
      const auto right = updated(*optimizer, values, gradients, 0, true);
      const auto aligned = updated(*optimizer, values, gradients, 0, false);
      const auto shifted = updated(*optimizer, values, gradients, 1, false);
      REQUIRE(right.size() == aligned.size());
      for (size_t i = 0; i < right.size(); ++i) {
        CAPTURE(i);
        CHECK(distance(aligned[i], right[i]) < 1e-4);
        CHECK(distance(shifted[i], aligned[i]) == 0);
      }
    }
  }
}

TEST_CASE("foreach: operands one element off, and tails: the bits of aligned ones") {
  const GeneratorGuard seed(Generator(4));
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const std::vector<Tensor> hosts = random_tensors(dtype);
    std::vector<Tensor> aligned, shifted, host;
    for (const Tensor& x : hosts) {
      host.push_back(x.clone());
      aligned.push_back(placed(x, 0));
      shifted.push_back(placed(x, 1));
    }
    const double norm = ops::foreach_squared_norm(aligned).item<double>();
    CHECK(norm == doctest::Approx(ops::foreach_squared_norm(host).item<double>()));
    CHECK(ops::foreach_squared_norm(shifted).item<double>() == norm);
    ops::foreach_axpby_(host, 0.5, 3, hosts);
    ops::foreach_axpby_(aligned, 0.5, 3, std::vector<Tensor>(shifted));  // operands that are aligned differently
    ops::foreach_axpby_(shifted, 0.5, 3, shifted);
    for (size_t i = 0; i < host.size(); ++i) {
      CAPTURE(i);
      CHECK(distance(aligned[i], host[i]) <= (dtype == DType::bf16 ? 0.07 : dtype == DType::f16 ? 0.01 : 1e-6));
      CHECK(distance(shifted[i], aligned[i]) == 0);
    }
    CHECK(ops::foreach_squared_norm(aligned).item<double>() == ops::foreach_squared_norm(shifted).item<double>());
  }
}

TEST_CASE("lists: the 161 tensors of a ResNet travel in one launch, as far as parameters have room for them") {
  constexpr int64_t tensors = 161;
  std::vector<Tensor> y, x;
  for (int64_t i = 0; i < tensors; ++i) {
    y.push_back(ones({1 + i}, {.device = cuda0}));
    x.push_back(ones({1 + i}, {.device = cuda0}));
  }
  const bool room = CUDART_VERSION >= 12010;  // as platform.cuh has it, for nvcc and for the simulator
  CHECK(kernels_of([&] { ops::foreach_axpby_(y, 1, 1, x); }) == (room ? 1 : 2));
  CHECK(kernels_of([&] { ops::foreach_squared_norm(y); }) == (room ? 1 : 2) + 1);  // and the one of the sums' sum
  const nn::optim::SGD sgd({.lr = 1, .momentum = 0.5});
  std::vector<std::vector<Tensor>> states;
  std::vector<nn::optim::Update> updates;
  for (const Tensor& value : y) states.push_back(sgd.make_state(value));
  for (size_t i = 0; i < y.size(); ++i) updates.push_back({y[i], x[i], states[i]});
  CHECK(kernels_of([&] { sgd.apply(updates, 1, 1); }) == (room ? 1 : 3));
  for (const size_t i : {size_t{0}, size_t{1}, size_t{80}, size_t{160}})
    CHECK(y[i].to_vector<float>() == std::vector<float>(i + 1, 1.0f));  // 1 + 1 - 1
}

TEST_CASE("lists: more tensors than one launch takes") {
  constexpr int64_t tensors = 1200;
  const Tensor whole = zeros({tensors, 4}, {.device = cuda0}), steps = ones({tensors, 4}, {.device = cuda0});
  std::vector<Tensor> y, x;
  for (int64_t i = 0; i < tensors; ++i) {
    y.push_back(whole[i]);
    x.push_back(steps[i]);
  }
  CHECK(kernels_of([&] { ops::foreach_axpby_(y, 1, 2, x); }) > 1);
  CHECK(whole.to_vector<float>() == std::vector<float>(4 * tensors, 2.0f));
  CHECK(ops::foreach_squared_norm(y).item<double>() == 16.0 * tensors);
  const nn::optim::SGD sgd({.lr = 1});
  std::vector<nn::optim::Update> updates;
  for (size_t i = 0; i < y.size(); ++i) updates.push_back({y[i], x[i], {}});
  CHECK(kernels_of([&] { sgd.apply(updates, 1, 1); }) > 1);
  CHECK(whole.to_vector<float>() == std::vector<float>(4 * tensors, 1.0f));
}
