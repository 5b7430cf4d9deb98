// What several devices gain, and what the machinery costs on one.
#include <sys/resource.h>

#include <string>
#include <thread>

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

// Processor time of this process, all threads.
double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// Wall and processor time of all calls of a piece of work.
struct Spent {
  double wall = 0, processor = 0;
  int calls = 0;
  template <class F>
  void of(F&& work) {
    const double before = processor_seconds();
    wall += seconds(work);
    processor += processor_seconds() - before;
    ++calls;
  }
  double cores() const { return processor / wall; }
};

// The same arithmetic by one thread, or half of it by each of two: what the machine gives to two threads just now.
double arithmetic(int64_t n) {
  double x = 0.5;
  for (int64_t i = 0; i < n; ++i) x = x * 0.999999 + 1e-6;
  return x;
}
void on_threads(int threads) {
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i)
    all.emplace_back([threads] {
      volatile double sink = arithmetic(int64_t{40'000'000} / threads);
      (void)sink;
    });
  for (std::thread& thread : all) thread.join();
}

// One core each: the one device is given a single core too. Where the second row falls short of 2, other work has the
// cores, or a group of processes shares one, and the first cannot do better. Where two devices take more processor time
// than one, the fault is weft's.
void scaling() {
  Training two(cpus(2));
  set_num_threads(1);
  Plain one;
  Spent by_one, by_two;
  row("FCN step, batch 8: 1 device of 1 core / 2 devices of 1",
      interleave([&] { by_one.of([&] { one.step(); }); }, [&] { by_two.of([&] { two.step(); }); }, 9, 0.2), ">= 1.9");
  row("  plain arithmetic: 1 thread / 2 threads", interleave([] { on_threads(1); }, [] { on_threads(2); }, 9, 0.2),
      "what the machine gives");
  std::printf("  processor time of a step: %s / %s on %.2f / %.2f cores\n",
              duration(by_one.processor / by_one.calls).c_str(), duration(by_two.processor / by_two.calls).c_str(),
              by_one.cores(), by_two.cores());
  set_num_threads(default_num_threads());
}

}  // namespace

int main() {
  heading("what", "first", "second");
  scaling();
  {
    Training through(cpus(1));
    Plain plain;
    row("FCN step: DataParallel on 1 device / plain calls",
        interleave([&] { through.step(); }, [&] { plain.step(); }, 15, 0.2), "<= 1.02");
  }
  {
    Training overlapped(cpus(2)), apart(cpus(2), {.overlap = false});
    row("FCN step on 2 devices: sums in the pass / afterwards",
        interleave([&] { overlapped.step(); }, [&] { apart.step(); }, 15, 0.2), "<= 1.02");
  }
  Reduction together(int64_t{25} << 20), apart(1);
  row("sums of 200 gradients: buckets / one by one", interleave([&] { together.reduce(); }, [&] { apart.reduce(); }),
      "< 1");
}
