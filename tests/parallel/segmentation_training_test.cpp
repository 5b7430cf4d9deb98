// A segmentation net with an auxiliary head, its mixed loss, ignored labels and dropout: the same on 1, 2 and 3
// devices.
#include <doctest/doctest.h>

#include "tests/parallel/devices.h"
#include "weft/nn/loss.h"
#include "weft/nn/models/segmentation.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

struct Steps {
  std::vector<double> losses;
  std::vector<float> last;  // the weight of the last layer
};

struct Size {
  int64_t batch, height, width;
  int steps;
};

Steps train(models::SegmentationHead head, const std::vector<Device>& devices, double aux_weight, const Size& size) {
  seed(2);
  models::SegmentationNet net({.head = head, .classes = 3, .backbone = {.depth = 18}});
  const DataParallelModel model(net, devices, wrapped());
  const DataParallelCriterion criterion(nn::MixSoftmaxCrossEntropyLoss(aux_weight, {.ignore_label = 255}), devices,
                                        wrapped());
  Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.01, .momentum = 0.9}));
  const Tensor image = randn({size.batch, 3, size.height, size.width});
  std::vector<uint8_t> labels(static_cast<size_t>(size.batch * size.height * size.width));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = i % 7 == 0 ? 255 : static_cast<uint8_t>(i / 100 % 3);
  const Tensor mask = tensor(labels, {size.batch, size.height, size.width});
  Steps result;
  for (int step = 0; step < size.steps; ++step) {
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(image), mask);
    }
    parallel_backward(losses);
    trainer.step();
    result.losses.push_back(total(losses));
  }
  result.last = net.parameter("classifier.4.weight").at(0).to_vector<float>();
  return result;
}

void expect_same(const Steps& found, const Steps& expected) {
  for (size_t i = 0; i < expected.losses.size(); ++i)
    CHECK(found.losses[i] == doctest::Approx(expected.losses[i]).epsilon(1e-4));
  for (size_t i = 0; i < expected.last.size(); ++i)
    CHECK(found.last[i] == doctest::Approx(expected.last[i]).epsilon(1e-3));
}

}  // namespace

TEST_CASE("segmentation training: all heads with auxiliary ones take the same steps on 1, 2 and 3 devices") {
  using enum models::SegmentationHead;
  const Size size{.batch = 5, .height = 33, .width = 24, .steps = 2};
  for (const models::SegmentationHead head : {fcn, psp, deeplab}) {
    CAPTURE(static_cast<int>(head));
    const Steps one = train(head, cpus(1), 0.4, size);
    for (const int n : {2, 3}) expect_same(train(head, cpus(n), 0.4, size), one);
    const Steps other = train(head, cpus(1), 0, size);
    CHECK(other.losses[0] < 0.9 * one.losses[0]);  // the auxiliary loss counts
  }
}

TEST_CASE("segmentation training: two CUDA devices take the CPU's steps") {
  for (const DeviceType type : kinds()) {
    if (type == DeviceType::cpu) continue;
    Size size{.batch = 5, .height = 33, .width = 24, .steps = 2};
    if (simulated()) {
      size = {.batch = 3, .height = 17, .width = 9, .steps = 1};
      MESSAGE("simulated devices take one step of the FCN on 3 images of 17x9; all heads would take 20 minutes");
    }
    const Steps cpu = train(models::SegmentationHead::fcn, cpus(1), 0.4, size);
    expect_same(train(models::SegmentationHead::fcn, devices_of(type, 2), 0.4, size), cpu);
  }
}
