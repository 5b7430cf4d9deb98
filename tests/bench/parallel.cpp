// What several devices gain, and what the machinery costs on one.
#include <string>

#include "tests/bench/support/bench.h"
#include "weft/autograd/ops/unary.h"
#include "weft/nn/nn.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::bench;
using namespace weft::parallel;

namespace {

std::vector<Device> cpus(int n) {
  std::vector<Device> devices;
  for (int i = 0; i < n; ++i) devices.push_back({DeviceType::cpu, i});
  return devices;
}

// A fully convolutional net of six convolutions, [N, 3, H, W] -> [N, 21, H/2, W/2].
struct Fcn : nn::Module {
  nn::Conv2d a{3, 32, {.kernel = 3, .padding = 1}}, b{32, 64, {.kernel = 3, .stride = 2, .padding = 1}},
      c{64, 64, {.kernel = 3, .padding = 1}}, d{64, 64, {.kernel = 3, .padding = 1}},
      e{64, 64, {.kernel = 3, .padding = 1}}, f{64, 21, {.kernel = 1}};
  WEFT_MEMBERS(a, b, c, d, e, f)
  Tensor forward(const Tensor& x) const { return f(relu(e(relu(d(relu(c(relu(b(relu(a(x))))))))))); }
};

// One training step after another on one batch of 8.
class Training {
 public:
  explicit Training(const std::vector<Device>& devices, const TrainerOptions& options = {}, int64_t size = 64)
      : model_(net_, devices),
        criterion_(nn::SoftmaxCrossEntropyLoss(), devices),
        trainer_(net_.parameters(), nn::optim::SGD({.lr = 1e-4, .momentum = 0.9}), options),
        image_(randn({8, 3, size, size})),
        mask_(zeros({8, size / 2, size / 2}, {.dtype = DType::i64})) {}
  void step() {
    pass();
    trainer_.step();
  }
  void pass() {
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion_(model_(image_), mask_);
    }
    parallel_backward(losses);
  }

 private:
  Fcn net_;
  DataParallelModel<Fcn> model_;
  DataParallelCriterion<nn::SoftmaxCrossEntropyLoss> criterion_;
  Trainer trainer_;
  Tensor image_, mask_;
};

// The same by plain calls, in this thread.
class Plain {
 public:
  explicit Plain(int64_t size = 64)
      : trainer_(net_.parameters(), nn::optim::SGD({.lr = 1e-4, .momentum = 0.9})),
        image_(randn({8, 3, size, size})),
        mask_(zeros({8, size / 2, size / 2}, {.dtype = DType::i64})) {}
  void step() {
    Tensor loss;
    {
      const autograd::Record record;
      loss = loss_(net_.forward(image_), mask_);
    }
    loss.backward();
    trainer_.step();
  }

 private:
  Fcn net_;
  nn::SoftmaxCrossEntropyLoss loss_;
  Trainer trainer_;
  Tensor image_, mask_;
};

// Gradients of many small parameters on two devices, summed together or one parameter at a time.
class Reduction {
 public:
  explicit Reduction(int64_t bucket_bytes)
      : trainer_((fill(), net_.parameters()), nn::optim::SGD({.lr = 1}), {.bucket_bytes = bucket_bytes}) {}
  void reduce() {
    for (const nn::Parameter& p : net_.parameters())
      for (int i = 0; i < p.places(); ++i) autograd::leaf_of(p.at(i))->set_grad(p.at(i).detach());
    trainer_.allreduce_grads();
  }

 private:
  void fill() {
    for (int i = 0; i < 100; ++i) net_.add<nn::Linear>(64, 64);
    net_.to(cpus(2));
  }
  nn::Sequential net_;
  Trainer trainer_;
};

}  // namespace

int main() {
  heading("what", "first", "second");
  {
    // One core each: the one device is given a single core too.
    Training two(cpus(2));
    set_num_threads(1);
    Plain one;
    row("FCN step, batch 8: 1 device of 1 core / 2 devices of 1",
        interleave([&] { one.step(); }, [&] { two.step(); }, 9, 0.2), ">= 1.9");
    set_num_threads(default_num_threads());
  }
  {
    Training through(cpus(1));
    Plain plain;
    row("FCN step: DataParallel on 1 device / plain calls",
        interleave([&] { through.step(); }, [&] { plain.step(); }, 15, 0.2), "<= 1.02");
  }
  Reduction together(int64_t{25} << 20), apart(1);
  row("sums of 200 gradients: buckets / one by one", interleave([&] { together.reduce(); }, [&] { apart.reduce(); }),
      "< 1");
}
