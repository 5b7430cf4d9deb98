// Twenty steps of training against PyTorch, from the same state, on one device and on two: cases/training.py.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/paths.h"
#include "weft/nn/loss.h"
#include "weft/nn/metrics.h"
#include "weft/nn/models/u_net.h"
#include "weft/nn/npy.h"
#include "weft/nn/optim/schedule.h"
#include "weft/nn/serialize.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/operators.h"

using namespace weft;

namespace {

constexpr int64_t batch = 4, steps = 20, classes = 3, ignore = 255;

Tensor array(const nn::NamedTensors& file, const std::string& name) {
  const auto found = std::find_if(file.begin(), file.end(), [&](const auto& entry) { return entry.first == name; });
  REQUIRE(found != file.end());
  return found->second;
}

template <class Optimizer>
void check_training(const std::string& name, const Optimizer& optimizer, const nn::optim::Schedule& schedule,
                    const std::vector<Device>& devices) {
  CAPTURE(name);
  CAPTURE(devices.size());
  const nn::NamedTensors file = nn::load_npz(test::source_path("tests/golden/training.npz"));
  const Tensor x = array(file, "picture").to(DType::f32) * (1 / 255.0), t = array(file, "labels");
  models::UNet net({.classes = classes, .widths = {6, 12, 20}});
  CHECK(nn::load(net, test::source_path("tests/golden/training.safetensors")).complete());
  const parallel::DataParallelModel model(net, devices);
  const parallel::DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss({.ignore_label = ignore}), devices);
  parallel::Trainer trainer(net.parameters(), optimizer);

  const std::vector<double> expected = array(file, name + "/losses").to(DType::f64).to_vector<double>();
  REQUIRE(expected.size() == steps);
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t at = step * batch % x.size(0);
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(x.slice(0, at, at + batch)), t.slice(0, at, at + batch));
    }
    parallel::parallel_backward(losses);
    trainer.set_learning_rate(schedule(step));
    trainer.step();
    CAPTURE(step);
    CHECK(std::abs(parallel::total(losses) - expected[static_cast<size_t>(step)]) < 1e-3);
  }
  nn::SegmentationMetric metric(classes, {.ignore_label = ignore});
  metric.update(net(x.to(devices[0])), t.to(devices[0]));
  const std::vector<double> scores = array(file, name + "/scores").to(DType::f64).to_vector<double>();
  CHECK(std::abs(metric.pixel_accuracy() - scores.at(0)) < 1e-3);
  CHECK(std::abs(metric.mean_iou() - scores.at(1)) < 1e-3);
}

}  // namespace

TEST_CASE("golden: a training's losses and scores, SGD with momentum, decay and a poly schedule, and AdamW") {
  for (const std::vector<Device>& devices : {std::vector<Device>{"cpu:0"}, std::vector<Device>{"cpu:0", "cpu:1"}}) {
    check_training("sgd", nn::optim::SGD({.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-4}),
                   nn::optim::poly(0.1, {.steps = steps}), devices);
    check_training("adamw", nn::optim::AdamW({.lr = 0.01, .weight_decay = 0.05}), nn::optim::constant(0.01), devices);
  }
}
