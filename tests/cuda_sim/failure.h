// What the tests of failing calls share: a training small enough to be failed at every call of one step.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "tests/cuda_sim/message.h"
#include "tests/cuda_sim/operand.h"
#include "tests/cuda_sim/sim.h"
#include "tests/support/array.h"
#include "weft/nn/nn.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/random.h"

namespace weft::test {

using sim::FaultKind;

inline constexpr int device_total = 4;
inline constexpr double most_seconds = 60;  // of a step: nobody waits for a deadline

struct Net : nn::Module {
  nn::Conv2d conv{1, 2, {.kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d norm{2, {.relu = true, .sync = true}};
  nn::Linear head{2 * 3 * 3, 3};
  WEFT_MEMBERS(conv, norm, head)
  Tensor forward(const Tensor& x) const { return head(norm(conv(x)).reshape({x.size(0), -1})); }
};

using Values = std::vector<std::vector<float>>;

inline std::vector<Device> cuda_devices(int left_out = -1) {
  std::vector<Device> devices;
  for (int i = 0; i < device_total; ++i)
    if (i != left_out) devices.push_back({DeviceType::cuda, i});
  return devices;
}

struct Training {
  explicit Training(const std::vector<Device>& devices, const parallel::TrainerOptions& options = {})
      : model(net, devices),
        criterion(nn::SoftmaxCrossEntropyLoss(), devices),
        trainer(net.parameters(), nn::optim::SGD({.lr = 0.1, .momentum = 0.9}), options) {}

  // Forward, loss, backward, all-reduce, update, from a batch in page-locked memory.
  void step() {
    const DeviceGuard host("cpu");
    const Tensor image = empty(batch.shape(), {.pinned = true});
    ops::copy(image, batch);
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(image), labels);
    }
    parallel::parallel_backward(losses);
    trainer.step();
  }
  Values values(int place) const {
    Values all;
    for (const nn::Parameter& p : net.parameters()) all.push_back(p.at(place).to_vector<float>());
    return all;
  }
  bool copies_hold(const Values& expected, int left_out = -1) const {
    for (int place = 0; place < net.parameters()[0].places(); ++place)
      if (place != left_out && values(place) != expected) return false;
    return true;
  }

  struct Seeded {
    Seeded() { seed(9); }
    const DeviceGuard host{"cpu"};
  };
  static Tensor images() {
    const DeviceGuard host("cpu");
    return randn({6, 1, 3, 3});  // uneven shares
  }
  static Tensor classes() { return tensor(std::vector<int64_t>{0, 1, 2, 2, 1, 0}, {6}, "cpu"); }

  Seeded before_all;
  Net net;
  Tensor batch = images(), labels = classes();
  parallel::DataParallelModel<Net> model;
  parallel::DataParallelCriterion<nn::SoftmaxCrossEntropyLoss> criterion;
  parallel::Trainer trainer;
};

/// Parameters after a number of steps that never failed, and the optimizer's state.
struct Clean {
  Values after_one, after_two;
  std::vector<std::pair<std::string, Tensor>> state_after_one;

  explicit Clean(const std::vector<Device>& devices) {
    Training training(devices);
    training.step();
    after_one = training.values(0);
    state_after_one = training.trainer.state();
    training.step();
    after_two = training.values(0);
  }
};

// A process in which nothing of before is used again.
struct Afresh {
  Afresh() { restart(); }
  ~Afresh() { restart(); }
  Afresh(const Afresh&) = delete;
  Afresh& operator=(const Afresh&) = delete;

 private:
  // Page-locked memory outlives the devices in the backend, so it goes first, once all that used it has run.
  static void restart() {
    for (const auto of : {&wait_for, &empty}) {
      for (const Device device : cuda_devices()) {
        try {
          of(device);
        } catch (const Error&) {
          // It is lost.
        }
      }
    }
    fresh_devices();
  }
  static void wait_for(Device device) { synchronize(device); }
  static void empty(Device device) { empty_cache(device); }
};

/// The places of a step, of `total` for one kind and device, at which a fault is tried; none: all until none fires.
/// `most`: where a try takes long, or many places are alike.
inline std::vector<int64_t> places_to_try(int64_t total, std::mt19937_64& random, int64_t most) {
  const char* const text = std::getenv("WEFT_SIM_FAULTS");
  if (text && std::string(text) == "all") return {};
  const int64_t wanted = std::min<int64_t>(text ? std::atoll(text) : 1, most);
  std::vector<int64_t> places(static_cast<size_t>(total));
  for (int64_t i = 0; i < total; ++i) places[static_cast<size_t>(i)] = i;
  std::shuffle(places.begin(), places.end(), random);
  places.resize(static_cast<size_t>(std::min(total, wanted)));
  return places;
}

template <class Try>  // fired = try_at(nth)
void try_places(int64_t total, std::mt19937_64& random, Try try_at, int64_t most = INT64_MAX) {
  const std::vector<int64_t> places = places_to_try(total, random, most);
  for (const int64_t nth : places) {
    // As threads arrive, a step may make a few calls less than the one whose calls were counted.
    const int64_t least = nth - nth / 4;
    int64_t fired = 0;
    for (int64_t at = nth; at >= least && fired == 0; --at) fired = try_at(at);
    CHECK(fired > 0);
  }
  for (int64_t nth = 0; places.empty() && try_at(nth) > 0; ++nth) {
  }
}

/// What came out of `work`; "" if nothing was thrown. It may not take long.
template <class Work>
std::string error_of(Work work) {
  const auto start = std::chrono::steady_clock::now();
  std::string text;
  try {
    work();
  } catch (const std::exception& error) {
    text = error.what();
  }
  CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < most_seconds);
  return text;
}

/// `error`: of the step before; if it gave a collective up, others may have read what that has not written.
inline std::string reports(const std::string& error = "") {
  const bool lost = has(error, "the last operations on cuda:");
  if (lost) sim::run_all();
  std::string text;
  for (const std::string& report : sim::take_reports())
    if (!lost || report.find("uninitialised read: ") != 0) text += "\n  " + report;
  return text;
}

struct Counts {
  int64_t fired = 0, refused = 0, places = 0;
};

inline void print(const std::string& what, const Counts& counts) {
  MESSAGE(what, ": ", counts.fired, " faults fired at ", counts.places, " places, ", counts.refused, " steps refused");
  CHECK(counts.fired > 0);
}

}  // namespace weft::test
