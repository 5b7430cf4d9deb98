// End to end: a U-Net learns to find discs on 1, 2 and 3 devices, with the same result.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/parallel/devices.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/nn/loss.h"
#include "weft/nn/models/u_net.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/philox.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

constexpr int64_t side = 16, batch = 7;  // 7 splits unevenly

struct Discs {
  Tensor image, mask;  // f32 [N, 1, side, side], u8 [N, side, side]
};

Discs discs(uint64_t number, int64_t n) {
  uint64_t next = 0;
  const auto unit = [&] { return static_cast<float>(philox::word_of({3, number, 0}, next++) * 0x1p-32); };
  std::vector<float> image;
  std::vector<uint8_t> mask;
  for (int64_t k = 0; k < n; ++k) {
    const float x = 4 + 8 * unit(), y = 4 + 8 * unit(), r = 3 + 2 * unit();
    for (int64_t i = 0; i < side * side; ++i) {
      const bool inside = std::hypot(static_cast<float>(i % side) - x, static_cast<float>(i / side) - y) < r;
      image.push_back((inside ? 0.5f : 0.0f) + 0.6f * unit());
      mask.push_back(inside);
    }
  }
  return {tensor(image, {n, 1, side, side}), tensor(mask, {n, side, side})};
}

struct Result {
  std::vector<double> losses;
  std::vector<float> values;  // all parameters and buffers
  double accuracy;            // on discs that were not trained on
};

double largest_difference(const Result& a, const Result& b) {
  REQUIRE(a.values.size() == b.values.size());
  double most = 0;
  for (size_t i = 0; i < a.values.size(); ++i) most = std::max(most, std::fabs(double{a.values[i]} - b.values[i]));
  return most;
}

Result train(const std::vector<Device>& places, int steps, bool sync = true, const DataParallelOptions& options = {}) {
  seed(5);
  models::UNet net({.widths = {4, 8}, .sync = sync});
  const DataParallelModel model(net, places, wrapped(options));
  const DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(), places, wrapped(options));
  Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.1, .momentum = 0.9}));
  Result result;
  for (int step = 0; step < steps; ++step) {
    const Discs now = discs(static_cast<uint64_t>(step), batch);
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(now.image), now.mask);
    }
    parallel_backward(losses);
    trainer.step();
    result.losses.push_back(total(losses));
  }
  const auto add = [&](const nn::Placed& value) {
    const std::vector<float> first = value.at(0).to_vector<float>();
    for (int i = 1; i < value.places(); ++i) CHECK(value.at(i).to_vector<float>() == first);
    result.values.insert(result.values.end(), first.begin(), first.end());
  };
  for (const nn::Parameter& p : net.parameters()) add(p);
  if (sync)  // else every rank has statistics of its own
    for (const nn::Buffer& b : net.buffers()) add(b);
  const Discs unseen = discs(1000, 12);
  const auto seen = argmax(gather(model(unseen.image), "cpu"), 1).to_vector<uint8_t>();
  const auto truth = unseen.mask.to_vector<uint8_t>();
  result.accuracy = 0;
  for (size_t i = 0; i < seen.size(); ++i) result.accuracy += seen[i] == truth[i];
  result.accuracy /= static_cast<double>(seen.size());
  return result;
}

// On the first devices of the kind here.
Result train(int devices, int steps, bool sync = true, const DataParallelOptions& options = {}) {
  return train(devices_here(devices), steps, sync, options);
}

// `native` steps, or `few` where devices are simulated, which is said.
int steps_here(int native, int few) {
  const int steps = natively_or(kind_here(), native, few);
  if (steps != native) MESSAGE(steps, " steps instead of ", native, ", which take minutes on simulated devices");
  return steps;
}

}  // namespace

TEST_CASE("u-net training: 1, 2 and 3 devices come to the same net") {
  const int steps = steps_here(12, 3);
  const Result one = train(1, steps);
  for (const int devices : {2, 3}) {
    const Result several = train(devices, steps);
    CHECK(largest_difference(one, several) < 2e-4);
    for (size_t i = 0; i < one.losses.size(); ++i)
      CHECK(several.losses[i] == doctest::Approx(one.losses[i]).epsilon(1e-4));
    CHECK(several.accuracy == doctest::Approx(one.accuracy).epsilon(0.01));
  }
}

TEST_CASE("u-net training: the net finds discs that it has not seen") {
  const int steps = steps_here(60, 6);
  const Result result = train(3, steps);
  CHECK(result.losses.back() < (steps == 60 ? 0.5 : 0.8) * result.losses.front());
  CHECK(result.accuracy > (steps == 60 ? 0.93 : 0.7));  // all ground is 0.8
}

TEST_CASE("u-net training: the comparison sees statistics that are not shared") {
  const Result one = train(1, 3, false), two = train(2, 3, false);
  CHECK(largest_difference(one, two) > 2e-3);
}

TEST_CASE("u-net training: with shares, the same bits on 1, 2 and 4 devices, and on every run") {
  const int steps = steps_here(3, 1);
  const Result one = train(1, steps, true, {.shares = 4});
  for (const int devices : {1, 2, 4}) {
    const Result again = train(devices, steps, true, {.shares = 4});
    CHECK(again.values == one.values);
    CHECK(again.losses == one.losses);
  }
}

TEST_CASE("u-net training: CUDA comes to the CPU's net") {
  if (!cuda_or_skip()) return;
  const Result cpu = train(cpus(1), 2);
  std::vector<Device> places{{DeviceType::cuda, 0}};
  if (device_count(DeviceType::cuda) > 1) places.push_back({DeviceType::cuda, 1});
  const Result cuda = train(places, 2);
  CHECK(largest_difference(cpu, cuda) < 1e-3);
  CHECK(cuda.losses[1] == doctest::Approx(cpu.losses[1]).epsilon(1e-3));
}
