// Segmentation end to end on simulated devices: a U-Net with batch statistics of all devices, ignored labels, training
// and the metric. With shares, four devices, two and one come to the same bits, under any order of streams.
#include <doctest/doctest.h>

#include <string>

#include "tests/cuda_sim/sim.h"
#include "weft/nn/loss.h"
#include "weft/nn/metrics.h"
#include "weft/nn/models/u_net.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/random.h"

using namespace weft;

namespace {

constexpr int64_t side = 8, batch = 7, classes = 3, ignored = 255;

struct Outcome {
  std::vector<double> losses;
  std::vector<float> values;       // parameters and running statistics, of the last device
  std::vector<int64_t> confusion;  // of a batch that was not trained on
  bool operator==(const Outcome&) const = default;
};

// Bars of a class each, noisy; every seventh pixel is not labelled.
std::pair<Tensor, Tensor> picture(uint64_t number) {
  const DeviceGuard host("cpu");
  const GeneratorGuard generator{Generator(number)};
  std::vector<float> image = uniform({batch, 1, side, side}, 0, 0.5).to_vector<float>();
  std::vector<uint8_t> mask(image.size());
  for (size_t i = 0; i < image.size(); ++i) {
    const auto label = static_cast<uint8_t>((i / 3 + number) % classes);
    image[i] += static_cast<float>(label);
    mask[i] = i % 7 == 0 ? static_cast<uint8_t>(ignored) : label;
  }
  return {tensor(image, {batch, 1, side, side}), tensor(mask, {batch, side, side})};
}

Outcome trained(int device_count) {
  std::vector<Device> devices;
  for (int i = 0; i < device_count; ++i) devices.push_back({DeviceType::cuda, i});
  const DeviceGuard host("cpu");
  seed(4);
  models::UNet net({.classes = classes, .widths = {2, 4}});
  const parallel::DataParallelOptions options{.shares = 4};
  const parallel::DataParallelModel model(net, devices, options);
  const parallel::DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss({.ignore_label = ignored}), devices,
                                                  options);
  parallel::Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.1, .momentum = 0.9}));
  Outcome outcome;
  for (uint64_t step = 0; step < 2; ++step) {
    const auto [image, mask] = picture(0);
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(image), mask);
    }
    parallel::parallel_backward(losses);
    trainer.step();
    outcome.losses.push_back(parallel::total(losses));
  }
  const auto add = [&](const nn::Placed& value) {
    for (const float v : value.at(value.places() - 1).to_vector<float>()) outcome.values.push_back(v);
  };
  for (const nn::Parameter& p : net.parameters()) add(p);
  for (const nn::Buffer& b : net.buffers()) add(b);

  const auto [image, mask] = picture(100);
  nn::SegmentationMetric metric(classes, {.ignore_label = ignored});
  metric.update(parallel::gather(model(image), "cpu"), mask);
  outcome.confusion = metric.confusion().to_vector<int64_t>();
  return outcome;
}

}  // namespace

TEST_CASE("segmentation: training and metric have the same bits on 1, 2 and 4 simulated devices") {
  const Outcome four = trained(4);
  CHECK(trained(2) == four);
  CHECK(trained(1) == four);
  int64_t counted = 0;
  for (const int64_t count : four.confusion) counted += count;
  CHECK(counted == batch * side * side - (batch * side * side + 6) / 7);
  CHECK(four.losses[1] < four.losses[0]);
  CHECK(sim::kernels_run() > 0);
}
