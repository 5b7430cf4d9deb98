// weft on a GPU beside PyTorch on the same card: convolutions, the kernels of a segmentation net, optimizer steps,
// whole training steps; in turn, in one run. Every row has the bytes or operations that it cannot do without and the
// time that they take at the copy bandwidth and product rate measured first. --tiny runs each row once on small
// tensors, --device cpu elsewhere than on cuda:0; any other word picks the rows whose name contains it.
// One file although it is long: a row's weft side, bytes and peer's name belong together, and the rows share the
// floors.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>

#include "tests/bench/support/bench.h"
#include "tests/bench/support/torch_peer.h"
#include "weft/nn/models/segmentation.h"
#include "weft/tensor/memory_peak.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/matmul.h"
#include "weft/tensor/tuning.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::bench;

namespace {

struct Settings {
  bool tiny = false;
  Device device = "cuda:0";
  std::string only;
  double limit = 400;  // seconds, after which rows are left out

  int64_t operator()(int64_t size, int64_t tiny_size) const { return tiny ? tiny_size : size; }
};

// How operands are stored and multiplied; names as in gpu_torch.py.
struct Precision {
  const char* name;
  DType dtype;
  bool tf32;
};
constexpr Precision f32{"f32", DType::f32, false}, tf32{"tf32", DType::f32, true}, bf16{"bf16", DType::bf16, false};

// What a row must do at least, and what PyTorch does for it.
struct Work {
  std::string name;
  std::string spec;  // of gpu_torch.py
  double bytes = 0, operations = 0;
  Precision precision = f32;
  bool compiled = false;  // torch.compile has something to fuse
};

class Table {
 public:
  explicit Table(const Settings& settings)
      : settings_(settings),
        torch_("gpu/gpu_torch.py", {settings.device.type == DeviceType::cpu ? "cpu" : "cuda"}),
        start_(std::chrono::steady_clock::now()) {
    const std::time_t now = std::time(nullptr);
    char date[32];
    std::strftime(date, sizeof date, "%F", std::gmtime(&now));
    std::printf("weft %s on %s, %s; %s\n", version(), to_string(settings.device).c_str(), date,
                torch_.version().c_str());
  }

  void heading(const char* what) const {
    std::printf("\n%-40s %10s %10s %10s %8s %10s %9s %9s\n", what, "weft", "eager", "compiled", "weft/e.", "floor",
                "of floor", "moves");
  }

  template <class F>
  void row(const Work& work, F&& run) {
    if (!is_wanted(work.name)) return;
    if (elapsed() > settings_.limit) return static_cast<void>(++left_out_);
    set_allow_tf32(work.precision.tf32);
    std::vector<double> own, eager, compiled, ratios;
    const std::string spec = work.spec + " dtype=" + work.precision.name;
    const bool compile = work.compiled && elapsed() < settings_.limit / 2;
    const int times = settings_.tiny ? 1 : repetitions([&] { run(), wait(); }, 0.04);
    for (int round = 0; round < settings_(5, 1); ++round) {
      own.push_back(time_of(run, times));
      eager.push_back(torch_.seconds(spec, times));
      if (compile) compiled.push_back(torch_.seconds(spec + " mode=compiled", times));
      if (eager.back() > 0) ratios.push_back(own.back() / eager.back());
    }
    print(work, median(own), median(eager), compiled.empty() ? -1 : median(compiled),
          ratios.empty() ? -1 : median(ratios));
  }

  // Seconds that the host needs to queue one call.
  template <class F>
  void host_row(const std::string& name, const std::string& spec, F&& run) {
    if (!is_wanted(name)) return;
    const int times = static_cast<int>(settings_(200, 2));
    std::vector<double> own, eager;
    for (int round = 0; round < settings_(7, 1); ++round) {
      wait();
      own.push_back(seconds([&] {
                      for (int i = 0; i < times; ++i) run();
                    }) /
                    times);
      wait();
      eager.push_back(torch_.seconds(spec + " measure=host", times));
    }
    print({.name = name, .spec = spec}, median(own), median(eager), -1,
          median(eager) > 0 ? median(own) / median(eager) : -1);
  }

  // The most memory that is in use during one call, with what libraries take for theirs.
  template <class F>
  void memory_row(const Work& work, F&& run) {
    if (!is_wanted(work.name) || elapsed() > settings_.limit) return;
    wait();
    reset_peak(settings_.device);
    run(), wait();
    const double own = static_cast<double>(memory_stats(settings_.device).peak);
    const double peak = torch_.seconds(work.spec + " dtype=" + work.precision.name + " measure=memory", 1);
    std::printf("%-40s %10s %10s%s\n", (work.name + ", peak memory").c_str(), megabytes(own).c_str(),
                megabytes(peak).c_str(), not_run(peak).c_str());
  }

  // Seconds per call, with a wait at the end alone.
  template <class F>
  double time_of(F&& run, int times) const {
    wait();
    return seconds([&] {
             for (int i = 0; i < times; ++i) run();
             wait();
           }) /
           times;
  }
  void wait() const { synchronize(settings_.device); }

  void set_bandwidth(double bytes_per_second) { bandwidth_ = bytes_per_second; }
  void set_rate(const Precision& precision, double per_second) { rate_[precision.name] = per_second; }
  // Whether there was a row.
  bool end() const {
    if (left_out_) std::printf("%d rows were left out after %.0f s\n", left_out_, settings_.limit);
    if (!wanted_) std::printf("gpu: no row has '%s' in its name\n", settings_.only.c_str());
    return wanted_ > 0;
  }

 private:
  double elapsed() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  bool is_wanted(const std::string& name) {
    const bool wanted = name.find(settings_.only) != std::string::npos;
    wanted_ += wanted;
    return wanted;
  }
  // Why PyTorch has no number.
  std::string not_run(double theirs) const {
    return theirs > 0 || torch_.why_not().empty() ? "" : "  not run: " + torch_.why_not();
  }
  static std::string megabytes(double bytes) {
    return bytes > 0 ? weft::detail::concat(std::llround(bytes * 1e-6), " MB") : "-";
  }
  static std::string cell(double seconds) { return seconds > 0 ? duration(seconds) : "-"; }

  void print(const Work& work, double own, double eager, double compiled, double ratio) const {
    double floor = bandwidth_ > 0 ? work.bytes / bandwidth_ : 0;
    if (const auto rate = rate_.find(work.precision.name); rate != rate_.end())
      floor = std::max(floor, work.operations / rate->second);
    char of_eager[16] = "-", of_floor[16] = "-", moves[16] = "-";
    if (ratio > 0) std::snprintf(of_eager, sizeof of_eager, "%.2f", ratio);
    if (floor > 0 && own > 0) std::snprintf(of_floor, sizeof of_floor, "%.2f", own / floor);
    if (work.bytes > 0) std::snprintf(moves, sizeof moves, "%.0f MB", work.bytes * 1e-6);
    std::printf("%-40s %10s %10s %10s %8s %10s %9s %9s%s\n", work.name.c_str(), cell(own).c_str(), cell(eager).c_str(),
                cell(compiled).c_str(), of_eager, floor > 0 ? duration(floor).c_str() : "-", of_floor, moves,
                not_run(eager).c_str());
    std::fflush(stdout);
  }

  const Settings& settings_;
  TorchPeer torch_;
  std::chrono::steady_clock::time_point start_;
  double bandwidth_ = 0;
  std::map<std::string, double> rate_;
  int left_out_ = 0, wanted_ = 0;
};

template <class... Args>
std::string text(const Args&... args) {
  return weft::detail::concat(args...);
}

Tensor image(const Shape& shape, DType dtype) { return randn(shape).to(dtype).contiguous(Layout::channels_last); }

// Forward from inputs that want gradients, and backward from ones.
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

void floors(Table& table, const Settings& size) {
  table.heading("floors");
  const int64_t n = size(int64_t{1} << 28, 1 << 10), side = size(8192, 32);
  const Tensor from = randn({n}), to = zeros({n});
  const double bytes = 8.0 * static_cast<double>(n);
  const auto copy = [&] { ops::copy(to, from); };
  table.set_bandwidth(bytes / table.time_of(copy, static_cast<int>(size(20, 1))));
  table.row({.name = text("copy of ", n, " f32"), .spec = text("copy n=", n), .bytes = bytes}, copy);
  const double operations = 2.0 * static_cast<double>(side) * static_cast<double>(side) * static_cast<double>(side);
  for (const Precision& precision : {f32, tf32, bf16}) {
    const Tensor a = randn({side, side}).to(precision.dtype), b = randn({side, side}).to(precision.dtype);
    const auto product = [&] { matmul(a, b); };
    set_allow_tf32(precision.tf32);
    product();
    table.set_rate(precision, operations / table.time_of(product, static_cast<int>(size(5, 1))));
    table.row({.name = text("product ", side, " ", precision.name),
               .spec = text("matmul n=", side),
               .operations = operations,
               .precision = precision},
              product);
  }
}

struct Conv {
  int64_t n, c, size, o, kernel, stride, dilation;
};

void convolutions(Table& table, const Settings& size) {
  table.heading("convolutions");
  constexpr Conv convs[] = {{32, 3, 480, 64, 7, 2, 1},    {32, 64, 120, 64, 3, 1, 1},  {32, 64, 120, 256, 1, 1, 1},
                            {32, 256, 60, 256, 3, 1, 2},  {32, 512, 60, 512, 3, 1, 4}, {16, 2048, 60, 512, 3, 1, 1},
                            {16, 2048, 60, 256, 3, 1, 12}};
  for (const Conv& full : convs) {
    Conv v = full;
    if (size.tiny) v.n = 1, v.c = std::min<int64_t>(v.c, 4), v.size = 9, v.o = 4;
    for (const Precision& precision : {f32, tf32, bf16}) {
      const int64_t padding = v.dilation * (v.kernel / 2), out = (v.size - 1) / v.stride + 1;
      const Tensor x = image({v.n, v.c, v.size, v.size}, precision.dtype);
      const Tensor w = image({v.o, v.c, v.kernel, v.kernel}, precision.dtype);
      const auto conv = [v, padding](const Tensors& t) {
        return conv2d(t[0], t[1], {.stride = v.stride, .padding = padding, .dilation = v.dilation});
      };
      const int64_t elements = x.numel() + w.numel() + v.n * v.o * out * out;
      Work work{.name = text("conv ", v.n, "x", v.c, "x", v.size, "², ", v.o, " of ", v.kernel, "x", v.kernel, " s",
                             v.stride, " d", v.dilation, " ", precision.name),
                .spec = text("conv n=", v.n, " c=", v.c, " size=", v.size, " o=", v.o, " k=", v.kernel, " s=", v.stride,
                             " d=", v.dilation),
                .bytes = static_cast<double>(elements * size_of(precision.dtype)),
                .operations = 2.0 * static_cast<double>(v.n * v.o * out * out * v.c * v.kernel * v.kernel),
                .precision = precision};
      table.row(work, [&] { conv({x, w}); });
      work.name += " fwd+bwd", work.spec += " both=1", work.bytes *= 3, work.operations *= 3;
      table.row(work, both(conv, {x, w}));
    }
  }
}

void norms(Table& table, const Settings& size, const Precision& precision) {
  const int64_t n = size(16, 2), c = size(256, 8), side = size(120, 5);
  const Tensor x = image({n, c, side, side}, precision.dtype), other = image({n, c, side, side}, precision.dtype);
  const Tensor mean = zeros({c}), var = ones({c});
  const double bytes = static_cast<double>(x.numel() * size_of(precision.dtype));
  // Forward the statistics read x, the rest reads x and writes y; backward sums read x, dy, y, the rest again, and dx.
  table.row(
      {.name = text("batch norm + ReLU ", n, "x", c, "x", side, "² ", precision.name),
       .spec = text("bn n=", n, " c=", c, " size=", side, " add=0"),
       .bytes = 10 * bytes,
       .precision = precision,
       .compiled = true},
      both([&](const Tensors& v) { return batch_norm(v[0], v[1], v[2], mean, var, {.training = true, .relu = true}); },
           {x, ones({c}), zeros({c})}));
  table.row({.name = text("batch norm + add + ReLU ", precision.name),
             .spec = text("bn n=", n, " c=", c, " size=", side, " add=1"),
             .bytes = 12 * bytes,
             .precision = precision,
             .compiled = true},
            both(
                [&](const Tensors& v) {
                  return batch_norm_add(v[0], v[1], v[2], v[3], mean, var, {.training = true, .relu = true});
                },
                {x, other, ones({c}), zeros({c})}));
}

void losses(Table& table, const Settings& size) {
  const int64_t n = size(16, 1), side = size(480, 6), small_side = size(60, 3), classes = 21;
  const Tensor logits = image({n, classes, side, side}, DType::f32);
  const Tensor labels = uniform({n, side, side}, 0, static_cast<double>(classes)).to(DType::i64);
  const double bytes = 4.0 * static_cast<double>(logits.numel());
  table.row({.name = text("cross entropy ", n, "x", classes, "x", side, "²"),
             .spec = text("ce n=", n, " c=", classes, " size=", side),
             .bytes = 3 * bytes + 16.0 * static_cast<double>(labels.numel()),
             .compiled = true},
            both([&](const Tensors& v) { return cross_entropy(v[0], labels); }, {logits}));
  const Tensor small = image({n, classes, small_side, small_side}, DType::f32);
  table.row({.name = text("resize ", small_side, "² -> ", side, "²"),
             .spec = text("resize n=", n, " c=", classes, " size=", small_side, " out=", side),
             .bytes = 2 * (bytes + 4.0 * static_cast<double>(small.numel())),
             .compiled = true},
            both([side](const Tensors& v) { return resize(v[0], Pair(side, side)); }, {small}));
}

void pointwise(Table& table, const Settings& size) {
  const int64_t rows = size(65536, 16), columns = size(1000, 10), n = size(int64_t{1} << 26, 1 << 10);
  const Tensor x = randn({rows, columns}), a = randn({n}), b = randn({n});
  table.row({.name = text("softmax ", rows, "x", columns),
             .spec = text("softmax n=", rows, " c=", columns),
             .bytes = 20.0 * static_cast<double>(x.numel()),
             .compiled = true},
            both([](const Tensors& v) { return softmax(v[0], 1); }, {x}));
  table.row({.name = text("sum of ", n), .spec = text("sum n=", n), .bytes = 4.0 * static_cast<double>(n)},
            [&] { sum(a); });
  table.row({.name = text("add of ", n), .spec = text("add n=", n), .bytes = 12.0 * static_cast<double>(n)},
            [&] { add(a, b); });
  const int64_t batch = size(16, 1), channels = size(64, 4), side = size(240, 6);
  const Tensor pooled = image({batch, channels, side, side}, DType::f32);
  table.row(
      {.name = "max pool 3x3 s2",
       .spec = text("pool n=", batch, " c=", channels, " size=", side),
       .bytes = 10.0 * static_cast<double>(pooled.numel()),
       .compiled = true},
      both([](const Tensors& v) { return max_pool2d(v[0], {.kernel = 3, .stride = 2, .padding = 1}); }, {pooled}));
  const Tensor four = randn({4}), four2 = randn({4});
  table.host_row("host: add of 4", "add n=4", [&] { add(four, four2); });
}

void updates(Table& table, const Settings& size) {
  models::ResNet net({.depth = size.tiny ? 18 : 50, .dilated = false, .sync = false});
  std::vector<Tensor> values, gradients;
  double count = 0;
  for (const nn::Parameter& p : net.parameters()) {
    if (size.tiny && p.numel() > 128) continue;
    values.push_back(ops::to(p.at(0), size.device));
    gradients.push_back(zeros_like(values.back()));
    count += static_cast<double>(p.numel());
  }
  const auto steps = [&](const nn::optim::Optimizer& optimizer, const char* name, double words) {
    std::vector<std::vector<Tensor>> states;
    std::vector<nn::optim::Update> list;
    for (const Tensor& value : values) states.push_back(optimizer.make_state(value));
    for (size_t i = 0; i < values.size(); ++i)
      list.push_back({.value = values[i], .gradient = gradients[i], .state = states[i]});
    int64_t step = 0;
    table.row({.name = text(name, " step of ResNet-", size.tiny ? 18 : 50),
               .spec = text("update optimizer=", name, " depth=", size.tiny ? 18 : 50),
               .bytes = words * 4 * count},
              [&] { optimizer.apply(list, ++step, 1); });
  };
  steps(nn::optim::SGD({.lr = 1e-9, .momentum = 0.9}), "sgd", 5);
  steps(nn::optim::Adam({.lr = 1e-9}), "adam", 7);
}

// ---- whole training steps

struct Classifier : nn::Module {
  models::ResNet body;
  nn::Linear fc;
  WEFT_MEMBERS(body, fc)
  explicit Classifier(const models::ResNetOptions& options) : body(options), fc(body.channels(4), 1000) {}
  std::tuple<Tensor, Tensor> forward(const Tensor& x) const {
    return {fc(global_avg_pool2d(body.forward(x).c4).flatten(1)), Tensor()};
  }
};

template <class Net>
void step_rows(Table& table, const Settings& size, const std::string& name, const Net& net, const Tensor& x,
               const Tensor& labels, double operations) {
  net.to(size.device);
  parallel::Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 1e-4, .momentum = 0.9}));
  bool reduced = false;
  const auto step = [&] {
    Tensor loss;
    {
      const autograd::Record record;
      const autograd::Autocast autocast(DType::bf16, {.enabled = reduced});
      const auto [main, aux] = net.forward(x);
      loss = cross_entropy(main, labels);
      if (aux.defined()) loss = loss + 0.4 * cross_entropy(aux, labels);
    }
    loss.backward();
    trainer.step();
  };
  for (const Precision& precision : {f32, tf32, bf16}) {
    reduced = precision.dtype == DType::bf16;
    const Work work{.name = text("step ", name, " ", x.size(0), "x3x", x.size(2), "² ", precision.name),
                    .spec = text("step net=", name, " n=", x.size(0), " size=", x.size(2)),
                    .operations = operations * static_cast<double>(x.size(0)),
                    .precision = precision,
                    .compiled = !std::strcmp(precision.name, "tf32")};
    table.row(work, step);
    if (!std::strcmp(precision.name, "tf32")) {
      table.memory_row(work, step);
      table.host_row(text("host: ", work.name), work.spec + " dtype=tf32", step);
    }
  }
}

// Operations of forward and backward per image: three times twice the multiplications that torchvision states, for its
// size, scaled to 480 x 480.
void training(Table& table, const Settings& size) {
  table.heading("training steps, SGD with momentum");
  const int64_t side = size(480, 33);
  {
    const int64_t n = size(64, 2);
    const Classifier net({.depth = 50, .dilated = false, .sync = false});
    step_rows(table, size, "resnet50", net, image({n, 3, side, side}, DType::f32), uniform({n}, 0, 1000).to(DType::i64),
              size.tiny ? 0 : 6 * 18.8e9);
  }
  for (const auto& [name, head, multiplications] :
       {std::tuple{"fcn_resnet50", models::SegmentationHead::fcn, 130e9},
        std::tuple{"deeplabv3_resnet50", models::SegmentationHead::deeplab, 152e9}}) {
    const int64_t n = size(16, 2);
    const models::SegmentationNet net({.head = head, .backbone = {.sync = false}});
    step_rows(table, size, name, net, image({n, 3, side, side}, DType::f32),
              uniform({n, side, side}, 0, 21).to(DType::i64), size.tiny ? 0 : 6 * multiplications);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  bool steps = true;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--tiny")
      settings.tiny = true;
    else if (word == "--no-steps")
      steps = false;
    else if (word == "--device" && i + 1 < argc)
      settings.device = Device(argv[++i]);
    else
      settings.only = word;
  }
  if (settings.device.type == DeviceType::cuda && device_count(DeviceType::cuda) == 0) {
    std::printf("gpu: %s; --device cpu runs the program on the CPU\n", why_unavailable(DeviceType::cuda).c_str());
    return 1;
  }
  const DeviceGuard guard(settings.device);
  set_timed_plans(settings.tiny ? 2 : 10);  // as PyTorch does with cudnn.benchmark
  Table table(settings);
  floors(table, settings);
  table.heading("kernels");
  norms(table, settings, f32);
  norms(table, settings, bf16);
  losses(table, settings);
  pointwise(table, settings);
  updates(table, settings);
  convolutions(table, settings);
  if (steps) training(table, settings);
  return table.end() ? 0 : 1;
}
