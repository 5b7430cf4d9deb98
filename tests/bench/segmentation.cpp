// A training step of a small segmentation net, beside PyTorch's where it is installed and beside the sum of its bare
// convolutions' work: forward, loss, backward, SGD with momentum.
#include "tests/bench/support/bench.h"
#include "tests/bench/support/torch_peer.h"
#include "weft/tensor/threads.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::bench;

namespace {

// 3 -> 32 -> 64 (stride 2) -> 64 -> 128 (stride 2) -> 128 -> 21 classes, back to the input's size; as in torch_peer.py.
struct Net : nn::Module {
  std::vector<std::unique_ptr<nn::Conv2d>> convs;
  std::vector<std::unique_ptr<nn::BatchNorm2d>> norms;
  nn::Conv2d head{128, 21, {.kernel = 1}};
  WEFT_MEMBERS(convs, norms, head)

  Net() {
    int64_t in = 3;
    const int64_t widths[] = {32, 64, 64, 128, 128};
    for (int i = 0; i < 5; ++i) {
      const int64_t stride = i == 1 || i == 3 ? 2 : 1;
      convs.push_back(std::make_unique<nn::Conv2d>(
          in, widths[i], nn::Conv2dOptions{.kernel = 3, .stride = stride, .padding = 1, .bias = false}));
      norms.push_back(std::make_unique<nn::BatchNorm2d>(widths[i], nn::BatchNormOptions{.relu = true}));
      in = widths[i];
    }
  }
  Tensor forward(const Tensor& x) const {
    Tensor y = x;
    for (size_t i = 0; i < convs.size(); ++i) y = (*norms[i])((*convs[i])(y));
    return resize(head(y), {x.shape()[2], x.shape()[3]});
  }
};

}  // namespace

int main() {
  TorchPeer torch(num_threads());
  const Tensor x = randn({8, 3, 128, 128}).contiguous(Layout::channels_last);
  const Tensor y = uniform({8, 128, 128}, 0, 21).to(DType::i64);
  Net net;
  parallel::Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.01, .momentum = 0.9}));
  const auto step_in = [&](bool half) {
    Tensor loss;
    {
      const autograd::Record record;
      const autograd::Autocast autocast({.enabled = half});
      loss = cross_entropy(net.forward(x), y);
    }
    loss.backward();
    trainer.step();
  };
  const auto step = [&] { step_in(false); };
  std::printf("%d threads; %s\n", num_threads(), torch.version().c_str());
  heading("what", "weft", "PyTorch");
  step(), step_in(true);
  std::vector<double> wide, half, gain;
  for (int round = 0; round < 9; ++round) {
    wide.push_back(seconds(step));
    half.push_back(seconds([&] { step_in(true); }));
    gain.push_back(half.back() / wide.back());
  }
  row("the step below in bf16 autocast, beside its own f32", {median(half), median(wide), median(gain)}, "");
  if (!torch.available()) {
    row("training step of a 6-conv net, 8x3x128x128", time(step, 7, 0.2), "");
    return 0;
  }
  std::vector<double> own, peer, ratios;
  for (int round = 0; round < 9; ++round) {
    own.push_back(seconds(step));
    peer.push_back(torch.seconds("fcn step", 1));
    ratios.push_back(own.back() / peer.back());
  }
  row("training step of a 6-conv net, 8x3x128x128", {median(own), median(peer), median(ratios)},
      num_threads() == 1 ? "<= 0.7" : "<= 0.6");
}
