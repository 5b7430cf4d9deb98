// A training step of DeepLabV3-ResNet50 with its auxiliary head, beside torchvision's where it is installed: forward,
// loss, backward, SGD with momentum. A program of its own, so that the most memory it ever has belongs to this step.
#include <sys/resource.h>

#include "tests/bench/support/bench.h"
#include "tests/bench/support/torch_peer.h"
#include "weft/nn/models/segmentation.h"
#include "weft/tensor/threads.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::bench;

namespace {

double peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

}  // namespace

int main() {
  TorchPeer torch(num_threads());
  const Tensor x = randn({4, 3, 128, 128}).contiguous(Layout::channels_last);
  const Tensor y = uniform({4, 128, 128}, 0, 21).to(DType::i64);
  const models::SegmentationNet net({.head = models::SegmentationHead::deeplab});
  const nn::MixSoftmaxCrossEntropyLoss criterion(0.4);
  parallel::Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.01, .momentum = 0.9}));
  const auto step = [&] {
    Tensor loss;
    {
      const autograd::Record record;
      const auto [main, aux] = net.forward(x);
      loss = criterion(main, aux, y);
    }
    loss.backward();
    trainer.step();
  };
  std::printf("%d threads; %s\n", num_threads(), torch.version().c_str());
  heading("what", "weft", "torchvision");
  step();
  const std::string name = "training step of DeepLabV3-ResNet50, 4x3x128x128";
  if (torch.seconds("deeplab step", 1) < 0) {
    row(name, time(step, 5, 0.2), "");
    std::printf("peak resident memory: %.0f MB\n", peak_memory() / 1e6);
    return 0;
  }
  std::vector<double> own, peer, ratios;
  for (int round = 0; round < 7; ++round) {
    own.push_back(seconds(step));
    peer.push_back(torch.seconds("deeplab step", 1));
    ratios.push_back(own.back() / peer.back());
  }
  row(name, {median(own), median(peer), median(ratios)}, "<= 0.6");
  const double a = peak_memory() / 1e6, b = torch.peak_memory() / 1e6;
  std::printf("%-52s %7.0f MB %9.0f MB %8.2f  %s\n", "peak resident memory", a, b, a / b, "<= 1");
}
