// A segmentation net with an auxiliary head, its mixed loss, ignored labels and dropout: the same on 1, 2 and 3
// devices.
#include <doctest/doctest.h>

#include "weft/nn/loss.h"
#include "weft/nn/models/segmentation.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::parallel;

namespace {

struct Steps {
  std::vector<double> losses;
  std::vector<float> last;  // the weight of the last layer
};

Steps train(models::SegmentationHead head, const std::vector<Device>& devices, double aux_weight) {
  seed(2);
  models::SegmentationNet net({.head = head, .classes = 3, .backbone = {.depth = 18}});
  const DataParallelModel model(net, devices);
  const DataParallelCriterion criterion(nn::MixSoftmaxCrossEntropyLoss(aux_weight, {.ignore_label = 255}), devices);
  Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.01, .momentum = 0.9}));
  const Tensor image = randn({5, 3, 33, 24});
  std::vector<uint8_t> labels(5 * 33 * 24);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = i % 7 == 0 ? 255 : static_cast<uint8_t>(i / 100 % 3);
  const Tensor mask = tensor(labels, {5, 33, 24});
  Steps result;
  for (int step = 0; step < 2; ++step) {
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

}  // namespace

TEST_CASE("segmentation training: all heads with auxiliary ones take the same steps on 1, 2 and 3 devices") {
  using enum models::SegmentationHead;
  for (const models::SegmentationHead head : {fcn, psp, deeplab}) {
    CAPTURE(static_cast<int>(head));
    const Steps one = train(head, {Device("cpu:0")}, 0.4);
    for (const std::vector<Device>& devices :
         {std::vector<Device>{"cpu:0", "cpu:1"}, std::vector<Device>{"cpu:0", "cpu:1", "cpu:2"}}) {
      const Steps several = train(head, devices, 0.4);
      for (size_t i = 0; i < 2; ++i) CHECK(several.losses[i] == doctest::Approx(one.losses[i]).epsilon(1e-4));
      for (size_t i = 0; i < one.last.size(); ++i) CHECK(several.last[i] == doctest::Approx(one.last[i]).epsilon(1e-3));
    }
    const Steps other = train(head, {Device("cpu:0")}, 0);
    CHECK(other.losses[0] < 0.9 * one.losses[0]);  // the auxiliary loss counts
  }
}
