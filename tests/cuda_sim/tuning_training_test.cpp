// Trainings on simulated devices that time the plans of their convolutions.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/cuda_sim/tuned.h"
#include "tests/support/temp_folder.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/conv2d.h"
#include "weft/autograd/record.h"
#include "weft/nn/checkpoint.h"
#include "weft/nn/nn.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/profile.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::test;

namespace {

// A step of a training with one convolution: forward, and the gradients of both operands.
std::vector<float> step(int64_t height) {
  const TensorOptions there{.device = Device(DeviceType::cuda, 0)};
  Tensor x = full({2, 3, height, 4}, 2, there).attach_grad(), w = full({2, 3, 1, 1}, 1, there).attach_grad();
  Tensor y;
  {
    const autograd::Record record;
    y = conv2d(x, w);
  }
  y.backward({.head_grads = {ones_like(y)}});
  std::vector<float> values = w.grad().to_vector<float>();
  for (const float value : x.grad().to_vector<float>()) values.push_back(value);
  return values;
}

std::string turned(std::string text) {
  const std::string from = "4 engine 0 STRICT_NAN_PROP", to = "3 engine 28";
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from)) text.replace(at, from.size(), to);
  return text;
}

}  // namespace

TEST_CASE("tuning: a training that goes on takes the choices of its checkpoint, and times none of them again") {
  const test::TempFolder folder;
  taken();
  const Tuned tuned(0.3, 0.1);
  const std::vector<float> first = step(160);
  CHECK(taken() == Runs{3 * timed_runs, 3 * timed_runs + 3});
  nn::Checkpoint checkpoint;
  checkpoint.put("step", int64_t{1});
  nn::save_checkpoint(checkpoint, folder / "c");

  load_tuned_choices(turned(tuned_choices()));  // as another run would have them
  CHECK(step(160) == first);
  CHECK(taken() == Runs{3, 0});
  CHECK(nn::load_checkpoint(folder / "c").number("step") == 1);
  CHECK(step(160) == first);
  CHECK(taken() == Runs{0, 3});
}

TEST_CASE("tuning: while a profile records and devices sum their gradients, all replicas choose alike") {
  const auto trained = [] {
    const GeneratorGuard seed(Generator(5));
    std::vector<Device> devices;
    for (int i = 0; i < 4; ++i) devices.push_back(Device(DeviceType::cuda, i));
    nn::Conv2d net(3, 4, {.kernel = 3, .padding = 1, .relu = true});
    parallel::DataParallelModel model(net, devices);
    parallel::DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(), devices);
    parallel::Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.1}));
    const Tensor x = randn({8, 3, 6, 5}, {.device = Device()});
    const Tensor y = uniform({8, 6, 5}, 0, 4, {.device = Device()}).to(DType::i64);
    for (int i = 0; i < 2; ++i) {
      PerDevice<Tensor> losses;
      {
        const autograd::Record record;
        losses = criterion(model(x), y);
      }
      parallel::parallel_backward(losses);
      trainer.step();
    }
    return net.weight.at(3).to("cpu").to_vector<float>();
  };
  const std::vector<float> expected = trained();
  const Tuned tuned(0.3, 0.1);
  for (const char* policy : {"fifo", "newest", "random"}) {
    sim::set_schedule({.policy = policy, .seed = 3});
    taken();
    const Profile profile;
    CHECK(trained() == expected);
    CHECK(taken().exact == (std::string(policy) == "fifo" ? 2 * timed_runs : 0));
  }
  sim::set_schedule({});
}
