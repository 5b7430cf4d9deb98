// The loss scale over time, and how it is kept. Steps with it: parallel/mixed_precision_test.cpp.
#include "weft/nn/optim/grad_scaler.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "weft/autograd/backward.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/record_scope.h"
#include "weft/nn/checkpoint.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/operators.h"

using namespace weft;
using nn::optim::GradScaler;

namespace {

// As torch/cuda/amp/grad_scaler.py and its kernel say it, in Python's words.
struct Naive {
  double scale, growth, backoff;
  int64_t interval, tracker = 0;

  void update(bool found_inf) {
    if (found_inf) {
      scale *= backoff;
      tracker = 0;
      return;
    }
    ++tracker;
    if (tracker != interval) return;
    if (std::isfinite(static_cast<float>(scale * growth))) scale *= growth;
    tracker = 0;
  }
};

// One parameter whose gradient is a number of one's own.
struct One {
  nn::Parameter w{zeros({1})};
  parallel::Trainer trainer{std::vector<nn::Parameter>{w}, nn::optim::SGD({.lr = 1})};

  void backward(const GradScaler& scaler, double slope) {
    Tensor loss;
    {
      const autograd::Record record;
      loss = sum(w.at(0) * slope);
    }
    scaler.scale(loss).backward();  // outside of Record
  }
  void step(GradScaler& scaler, double slope) {
    backward(scaler, slope);
    trainer.step(1, scaler);
  }
};

constexpr double inf = std::numeric_limits<double>::infinity();

}  // namespace

TEST_SUITE("nn/grad_scaler") {
  TEST_CASE("growth and backoff as PyTorch's") {
    for (const bool to_the_top : {false, true}) {
      GradScaler scaler(
          {.init_scale = to_the_top ? std::ldexp(1.0, 125) : 1024, .backoff_factor = 0.25, .growth_interval = 3});
      Naive naive{to_the_top ? std::ldexp(1.0, 125) : 1024.0, 2, 0.25, 3};
      One one;
      uint32_t random = 7;
      int skipped = 0;
      for (int step = 0; step < 60; ++step) {
        random = random * 1664525 + 1013904223;
        const bool overflows = (random >> 28) < 3 && !to_the_top;
        skipped += overflows;
        one.step(scaler, overflows ? inf : 0.5);
        scaler.update();
        naive.update(overflows);
        CHECK(scaler.current_scale() == naive.scale);
        CHECK(one.w.at(0).item<float>() == -0.5f * static_cast<float>(step + 1 - skipped));
      }
      CHECK((to_the_top || skipped > 5));
      CHECK(one.trainer.steps() == 60);
    }
  }

  TEST_CASE("NaN counts as overflow; steps of several trainers are one verdict") {
    GradScaler scaler({.init_scale = 8});
    One a, b;
    a.step(scaler, 1), b.step(scaler, std::numeric_limits<double>::quiet_NaN());
    scaler.update();
    CHECK(scaler.current_scale() == 4);
    CHECK(a.w.at(0).item<float>() == -1);
    CHECK(b.w.at(0).item<float>() == 0);
  }

  TEST_CASE("what is scaled") {
    const GradScaler scaler({.init_scale = 4});
    CHECK(scaler.scale(full({}, 3.0)).item<float>() == 12);
    CHECK_FALSE(scaler.scale(full({}, 3.0)).requires_grad());
    CHECK(scaler.scale(full({}, 3.0, {.dtype = DType::f16})).dtype() == DType::f32);
    const PerDevice<Tensor> losses({"cpu:0", "cpu:1"},
                                   {full({}, 1.0, {.device = "cpu:0"}), full({}, 2.0, {.device = "cpu:1"})});
    const PerDevice<Tensor> scaled = scaler.scale(losses);
    CHECK(scaled[0].item<float>() == 4);
    CHECK(scaled[1].item<float>() == 8);
    CHECK(scaled[1].device() == Device("cpu:1"));
  }

  TEST_CASE("disabled it does nothing") {
    GradScaler scaler({.enabled = false});
    One one;
    CHECK(scaler.scale(full({}, 3.0)).item<float>() == 3);
    one.backward(scaler, 2);
    one.trainer.unscale_grads(scaler);
    one.trainer.step(1, scaler);
    scaler.update();
    CHECK(one.w.at(0).item<float>() == -2);
  }

  TEST_CASE("what does not go together is an error") {
    GradScaler scaler;
    CHECK_THROWS_AS(scaler.update(), Error);
    One one;
    one.step(scaler, 1);
    one.backward(scaler, 1);
    CHECK_THROWS_WITH_AS(one.trainer.step(1, scaler),
                         "step: a second step with one scale; call scaler.update() after each step", Error);
    scaler.update();
    one.trainer.unscale_grads(scaler);
    CHECK_THROWS_AS(one.trainer.unscale_grads(scaler), Error);
    CHECK_THROWS_AS(one.trainer.step(), Error);
    one.backward(scaler, 1);
    CHECK_THROWS_AS(one.trainer.step(1, scaler), AutogradError);
    CHECK(one.w.at(0).item<float>() == -1);
    one.trainer.zero_grad();
    one.step(scaler, 1);
    CHECK(one.w.at(0).item<float>() == -2);
    CHECK_THROWS_AS(GradScaler({.init_scale = 0}), Error);
    CHECK_THROWS_AS(GradScaler({.growth_factor = 0.5}), Error);
    CHECK_THROWS_AS(GradScaler({.backoff_factor = 2}), Error);
    CHECK_THROWS_AS(GradScaler({.growth_interval = 0}), Error);
  }

  TEST_CASE("its state goes through a checkpoint") {
    GradScaler scaler({.init_scale = 64, .growth_interval = 3}), other({.growth_interval = 3});
    One one;
    one.step(scaler, inf), scaler.update();
    one.step(scaler, 1), scaler.update();
    nn::Checkpoint checkpoint;
    checkpoint.put("scaler", scaler.state());
    other.load_state(checkpoint.tensors("scaler"));
    CHECK(other.current_scale() == 32);
    for (int i = 0; i < 2; ++i) one.step(other, 1), other.update();
    CHECK(other.current_scale() == 64);
    CHECK_THROWS_WITH_AS(other.load_state({}),
                         "GradScaler: the state does not fit: scale is missing. growth_tracker is missing. Nothing was "
                         "changed",
                         CheckpointError);
    CHECK(other.current_scale() == 64);
  }
}
