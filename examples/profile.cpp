// A training step on four devices with a Profile alive. draw_trace.py makes a picture of the trace.
#include <weft/weft.h>

#include <cstdio>

using namespace weft;

struct Net : nn::Module {
  nn::Conv2d first{3, 16, {.kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d norm{16, {.relu = true}};
  nn::Conv2d second{16, 8, {.kernel = 3, .padding = 1}};
  WEFT_MEMBERS(first, norm, second)
  Tensor forward(const Tensor& x) const { return second(norm(first(x))); }
};

int main(int argc, char** argv) {
  const std::vector<Device> devices{"cpu:0", "cpu:1", "cpu:2", "cpu:3"};  // or available_devices()
  const Tensor images = randn({32, 3, 64, 64});
  const Tensor labels = uniform({32, 64, 64}, 0, 8).to(DType::i64);
  Net net;
  parallel::DataParallelModel model(net, devices);
  parallel::DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(), devices);
  parallel::Trainer trainer(net.parameters(), nn::optim::Adam({.lr = 0.01}));
  const auto step = [&] {
    PerDevice<Tensor> losses;
    {
      const ProfileRange range("forward");
      const autograd::Record record;
      losses = criterion(model(images), labels);
    }
    parallel::parallel_backward(losses);
    trainer.step();
  };
  step();  // the first one fills caches
  Profile profile;
  step();
  profile.stop();
  std::printf("%s", profile.table().c_str());
  profile.save_trace(argc > 1 ? argv[1] : "trace.json");
}
