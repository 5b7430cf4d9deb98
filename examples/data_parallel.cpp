// Trains one net on two devices: which points lie in the ring?
#include <weft/weft.h>

#include <cstdio>

using namespace weft;

struct Net : nn::Module {
  nn::Linear hidden{2, 32}, out{32, 2};
  WEFT_MEMBERS(hidden, out)
  Tensor forward(const Tensor& x) const { return out(relu(hidden(x))); }
};

int main() {
  const Tensor points = randn({512, 2});
  const Tensor radius = sum(square(points), {.axes = {1}});
  const Tensor inside = logical_and(radius > 0.5, radius < 2).to(DType::i64);

  Net net;
  const std::vector<Device> devices{"cpu:0", "cpu:1"};  // or available_devices(): cuda:0, cuda:1, …
  parallel::DataParallelModel model(net, devices);
  parallel::DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(), devices);
  parallel::Trainer trainer(net.parameters(), nn::optim::Adam({.lr = 0.01}));

  for (int step = 0; step < 300; ++step) {
    PerDevice<Tensor> losses;
    {
      autograd::Record record;
      losses = criterion(model(points), inside);  // a share of the batch on each device; the shares' losses add up
    }
    parallel::parallel_backward(losses);
    trainer.step();  // sums the gradients of all devices, updates all copies alike
  }
  const Tensor right = argmax(net.forward(points), 1) == inside;
  std::printf("%s: %.0f %% right\n", net.describe().c_str(), 100 * mean(right.to(DType::f32)).item<float>());
  std::printf("%s", to_string(net).c_str());
}
