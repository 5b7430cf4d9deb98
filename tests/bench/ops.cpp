// Operations beside a plain loop that moves the same bytes, and beside PyTorch where it is installed: in turn, in one
// run, with as many threads. What counts as bytes: each operand read once and each result written once.
#include "tests/bench/support/bench.h"
#include "tests/bench/support/torch_peer.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/tensor/threads.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::bench;

namespace {

constexpr int64_t mi = int64_t{1} << 20;

// Copies between two blocks of half the bytes each.
class PlainLoop {
 public:
  explicit PlainLoop(int64_t bytes) : from_(static_cast<size_t>(bytes / 8), 1.f), to_(from_.size()) {}
  void run() {
    const float* from = from_.data();
    float* to = to_.data();
    const int64_t n = static_cast<int64_t>(from_.size());
#ifdef _OPENMP
#pragma omp parallel for num_threads(num_threads())
#endif
    for (int64_t i = 0; i < n; ++i) to[i] = from[i] + 1.f;
  }

 private:
  std::vector<float> from_, to_;
};

class Table {
 public:
  Table() : torch_(num_threads()) {
    std::printf("%d threads; %s\n", num_threads(), torch_.version().c_str());
    std::printf("%-24s %10s %8s %12s %12s  %s\n", "operation", "weft", "GB/s", "of the loop", "of PyTorch", "goal");
  }

  /// `work`: one call, which reads and writes `bytes`; the case of torch_peer.py has the same name.
  template <class F>
  void row(const std::string& name, int64_t bytes, F&& work, const char* goal = "") {
    PlainLoop loop(std::max<int64_t>(bytes, 1 << 16));
    const int times = repetitions(work, 0.03), loops = repetitions([&] { loop.run(); }, 0.01);
    std::vector<double> own, of_loop, of_torch;
    const int torch_times = std::max(1, static_cast<int>(times / 2));
    for (int round = 0; round < 7; ++round) {
      own.push_back(seconds([&] {
                      for (int i = 0; i < times; ++i) work();
                    }) /
                    times);
      const double plain = seconds([&] {
                             for (int i = 0; i < loops; ++i) loop.run();
                           }) /
                           loops;
      of_loop.push_back(own.back() / plain);
      const double peer = torch_.seconds(name, torch_times);
      if (peer > 0) of_torch.push_back(own.back() / peer);
    }
    char torch_text[16] = "-";
    if (!of_torch.empty()) std::snprintf(torch_text, sizeof torch_text, "%.2f", median(of_torch));
    std::printf("%-24s %10s %8.1f %12.2f %12s  %s\n", name.c_str(), duration(median(own)).c_str(),
                static_cast<double>(bytes) / median(own) * 1e-9, median(of_loop), torch_text, goal);
    std::fflush(stdout);
  }

 private:
  TorchPeer torch_;
};

// Forward and backward from ones, of the given operands.
template <class F>
auto both(F f, Tensors x) {
  for (Tensor& t : x) t.attach_grad();
  const Tensor dy = ones_like(f(x));
  return [f, x, dy] {
    Tensor y;
    {
      const autograd::Record record;
      y = f(x);
    }
    y.backward({.head_grads = {dy}});
  };
}

Tensor image(const Shape& shape) { return randn(shape).contiguous(Layout::channels_last); }

void elementwise(Table& table) {
  const Tensor a = randn({16 * mi}), b = randn({16 * mi});
  const int64_t bytes = 64 * mi;
  table.row("add", 3 * bytes, [&] { add(a, b); });
  table.row("relu", 2 * bytes, [&] { relu(a); });
  table.row("exp", 2 * bytes, [&] { exp(a); });
  table.row("tanh", 2 * bytes, [&] { tanh(a); });
  table.row("gelu", 2 * bytes, [&] { gelu(a); });
  table.row("cast to bf16", bytes + bytes / 2, [&] { a.to(DType::bf16); });
}

void reductions(Table& table) {
  const Tensor wide = randn({16 * mi}), rows = randn({8192, 1000});
  const int64_t bytes = rows.numel() * 4;
  table.row("sum", 64 * mi, [&] { sum(wide); });
  table.row("sum rows", bytes, [&] { sum(rows, {.axes = {1}}); });
  table.row("sum columns", bytes, [&] { sum(rows, {.axes = {0}}); });
  table.row("max rows", bytes, [&] { max(rows, {.axes = {1}}); });
  table.row("softmax", 5 * bytes, both([](const Tensors& x) { return softmax(x[0], 1); }, {rows}));
  table.row("log_softmax", 5 * bytes, both([](const Tensors& x) { return log_softmax(x[0], 1); }, {rows}));
}

void layout(Table& table) {
  const Tensor square = randn({4096, 4096}), x = image({8, 64, 64, 64});
  table.row("transpose", 2 * 64 * mi, [&] { square.transpose().contiguous(); });
  table.row("concat", 4 * x.numel() * 4, [&] { concat({x, x}, 1); });
}

void neural(Table& table) {
  const Tensor x = image({8, 64, 64, 64});
  const int64_t bytes = x.numel() * 4;
  const Tensor mean = zeros({64}), var = ones({64});
  table.row(
      "batch_norm + relu", 8 * bytes,
      both([&](const Tensors& v) { return batch_norm(v[0], v[1], v[2], mean, var, {.training = true, .relu = true}); },
           {x, ones({64}), zeros({64})}),
      "<= 0.5 of PyTorch");
  const Tensor labels = uniform({8, 128, 128}, 0, 21).to(DType::i64);
  const Tensor logits = image({8, 21, 128, 128});
  table.row("cross_entropy", 3 * logits.numel() * 4,
            both([&](const Tensors& v) { return cross_entropy(v[0], labels); }, {logits}), "<= 0.4 of PyTorch");
  table.row("max_pool2d", 3 * bytes,
            both([](const Tensors& v) { return max_pool2d(v[0], {.kernel = 3, .stride = 2, .padding = 1}); }, {x}));
  const Tensor small = image({8, 21, 32, 32});
  table.row("resize bilinear", 2 * 17 * small.numel() * 4,
            both(
                [](const Tensors& v) {
                  return resize(v[0], {128, 128});
                },
                {small}),
            "<= 0.4 of PyTorch");
}

void pooling_and_norms(Table& table) {
  const Tensor x = image({8, 64, 64, 64}), rows = randn({8192, 1000});
  table.row("avg_pool2d", 5 * x.numel(), both([](const Tensors& v) { return avg_pool2d(v[0], {.kernel = 2}); }, {x}));
  table.row("layer_norm", 5 * rows.numel() * 4,
            both([](const Tensors& v) { return layer_norm(v[0], {1000}); }, {rows}));
}

void indices(Table& table) {
  const Tensor rows = randn({512, 1000}), weight = randn({10000, 256});
  const Tensor index = uniform({8192}, 0, 10000).to(DType::i64);
  table.row("sort", 3 * rows.numel() * 4, [&] { sort(rows, 1); });
  table.row("embedding", (2 * index.numel() * 256 + weight.numel()) * 4,
            both([&](const Tensors& v) { return embedding(v[0], index); }, {weight}));
}

void updates(Table& table) {
  std::vector<nn::optim::Update> list;
  const nn::optim::Adam adam({.lr = 1e-3});
  std::vector<Tensors> states;
  for (int i = 0; i < 4; ++i) states.push_back(adam.make_state(zeros({mi})));
  for (Tensors& state : states) list.push_back({.value = randn({mi}), .gradient = randn({mi}), .state = state});
  int64_t step = 0;
  table.row("adam step, 4 M values", 7 * 16 * mi, [&] { adam.apply(list, ++step, 1); });
}

}  // namespace

int main() {
  Table table;
  elementwise(table);
  reductions(table);
  layout(table);
  neural(table);
  pooling_and_norms(table);
  indices(table);
  updates(table);
}
