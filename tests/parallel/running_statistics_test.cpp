// Plain batch norm on several devices: every rank's running statistics, merged by whoever takes them for one value,
// against plain loops.
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "tests/parallel/devices.h"
#include "tests/support/temp_folder.h"
#include "weft/nn/checkpoint.h"
#include "weft/nn/nn.h"
#include "weft/parallel/data_parallel.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

constexpr size_t channels = 3, pixels = 4;
constexpr double momentum = 0.25;

struct Net : nn::Module {
  nn::BatchNorm2d norm{channels, {.momentum = momentum}};
  WEFT_MEMBERS(norm)
  Tensor forward(const Tensor& x) const { return norm(x); }
};

using Doubles = std::vector<double>;

// What the ranks gather, and the law of total variance.
struct Reference {
  explicit Reference(size_t ranks) : mean(ranks, Doubles(channels, 0)), var(ranks, Doubles(channels, 1)), seen(ranks) {}

  // x: [N, channels, 2, 2]; sizes: samples of each rank.
  void take_in(const Doubles& x, const std::vector<int64_t>& sizes) {
    size_t first = 0;
    for (size_t r = 0; r < sizes.size(); ++r) {
      const auto n = static_cast<size_t>(sizes[r]);
      const double count = static_cast<double>(n * pixels);
      for (size_t c = 0; c < channels && n > 0; ++c) {
        double sum = 0, squares = 0;
        for (size_t k = first; k < first + n; ++k)
          for (size_t p = 0; p < pixels; ++p) sum += x[(k * channels + c) * pixels + p];
        for (size_t k = first; k < first + n; ++k)
          for (size_t p = 0; p < pixels; ++p) squares += std::pow(x[(k * channels + c) * pixels + p] - sum / count, 2);
        mean[r][c] += momentum * (sum / count - mean[r][c]);
        var[r][c] += momentum * (squares / (count - 1) - var[r][c]);
      }
      seen[r] += count;
      first += n;
    }
  }
  void merge() {
    const double total = std::accumulate(seen.begin(), seen.end(), 0.0);
    Doubles m(channels), v(channels);
    for (size_t c = 0; c < channels; ++c) {
      for (size_t r = 0; r < seen.size(); ++r) m[c] += seen[r] / total * mean[r][c];
      for (size_t r = 0; r < seen.size(); ++r) v[c] += seen[r] / total * (var[r][c] + std::pow(mean[r][c] - m[c], 2));
    }
    mean.assign(seen.size(), m), var.assign(seen.size(), v);
    seen.assign(seen.size(), 0);
  }
  std::vector<Doubles> mean, var;
  Doubles seen;
};

bool close(const Doubles& a, const Doubles& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!(std::fabs(a[i] - b[i]) <= 1e-5 * (1 + std::fabs(b[i])))) return false;
  return a.size() == b.size();
}

// Batches that leave a rank of four idle, or all but one.
const std::vector<std::pair<int64_t, std::vector<int64_t>>> batches_on_four{
    {7, {2, 2, 2, 1}}, {3, {1, 1, 1, 0}}, {5, {2, 1, 1, 1}}};

std::vector<int64_t> sizes_of(int64_t batch, int ranks) {
  std::vector<int64_t> sizes;
  for (int r = 0; r < ranks; ++r) sizes.push_back(batch / ranks + (r < batch % ranks));
  return sizes;
}

struct Training {
  Training(Net& net, const std::vector<Device>& devices, const DataParallelOptions& options = {})
      : model(net, devices, wrapped(options)),
        ranks(static_cast<int>(model.devices().size())),
        reference(static_cast<size_t>(ranks)) {}
  void step(int64_t batch, uint64_t number) {
    const GeneratorGuard seeded(Generator(number + 1));
    const DeviceGuard host("cpu");
    const Tensor x = randn({batch, channels, 2, 2}) * 2.0 + static_cast<double>(number);
    const autograd::TrainMode train;
    model(x);
    reference.take_in(x.to_vector<double>(), sizes_of(batch, ranks));
  }
  DataParallelModel<Net> model;
  int ranks;
  Reference reference;
};

Doubles values(const nn::Buffer& b, int place) { return b.at(place).to_vector<double>(); }

Tensor unseen() {
  const GeneratorGuard seeded(Generator(99));
  const DeviceGuard host("cpu");
  return randn({6, channels, 2, 2});
}

}  // namespace

TEST_SUITE("parallel/running statistics") {
  TEST_CASE("ranks gather their own; what is saved is merged, weighted by what each has seen") {
    CHECK(sizes_of(3, 4) == batches_on_four[1].second);
    for (const DeviceType type : kinds())
      for (const int n : {1, 2, 3, 4}) {
        CAPTURE(n);
        Net net;
        Training training(net, devices_of(type, n));
        for (uint64_t k = 0; k < batches_on_four.size(); ++k) training.step(batches_on_four[k].first, k);
        for (int i = 0; i < n; ++i)
          CHECK(close(values(net.norm.running_var, i), training.reference.var[static_cast<size_t>(i)]));
        if (n > 1) CHECK_FALSE(close(values(net.norm.running_mean, 0), values(net.norm.running_mean, 1)));
        training.reference.merge();
        const nn::NamedTensors saved = nn::state_of(net);
        for (int i = 0; i < n; ++i) {
          CHECK(close(values(net.norm.running_mean, i), training.reference.mean[0]));
          CHECK(close(values(net.norm.running_var, i), training.reference.var[0]));
          CHECK(values(net.norm.running_var, i) == values(net.norm.running_var, 0));
        }
        const Doubles once = values(net.norm.running_var, 0);
        nn::state_of(net);  // nothing left to merge
        CHECK(values(net.norm.running_var, 0) == once);
        training.step(1, 7);  // one rank alone goes on from the merged ones
        training.reference.merge();
        nn::state_of(net);
        CHECK(close(values(net.norm.running_mean, n - 1), training.reference.mean[0]));
        CHECK(close(values(net.norm.running_var, n - 1), training.reference.var[0]));
      }
  }

  TEST_CASE("evaluation on n devices equals evaluation on one with the merged statistics") {
    for (const DeviceType type : kinds())
      for (const int n : {2, 4})
        for (const int shares : {0, 4}) {
          CAPTURE(n);
          CAPTURE(shares);
          Net net, alone;
          Training training(net, devices_of(type, n), {.shares = shares});
          for (uint64_t k = 0; k < 2; ++k) training.step(8, k);
          training.reference.merge();
          const Tensor x = unseen(), y = gather(training.model(x), devices_of(type, 1)[0]);  // all ranks at once
          CHECK(close(values(net.norm.running_var, 1), training.reference.var[0]));
          alone.norm.running_mean.set(net.norm.running_mean.at(0));
          alone.norm.running_var.set(net.norm.running_var.at(n - 1));
          const DataParallelModel one(alone, devices_of(type, 1), wrapped());
          CHECK(gather(one(x), devices_of(type, 1)[0]).to_vector<float>() == y.to_vector<float>());
          net.to(devices_of(type, 1));
          CHECK(net.forward(x.to(devices_of(type, 1)[0])).to_vector<float>() == y.to_vector<float>());
        }
  }

  TEST_CASE("a checkpoint holds them merged, and a training that goes on from it comes to the same bits") {
    const TempFolder folder;
    for (const DeviceType type : kinds()) {
      const auto devices = devices_of(type, 3);
      Net net, resumed;
      Training training(net, devices);
      for (uint64_t k = 0; k < 2; ++k) training.step(7, k);
      training.reference.merge();
      const std::string path = folder / "statistics.safetensors";
      nn::Checkpoint checkpoint;
      checkpoint.put("model", net);
      nn::save_checkpoint(checkpoint, path);
      Training again(resumed, devices);
      again.step(5, 9);  // drifted before it is loaded
      const nn::Checkpoint loaded = nn::load_checkpoint(path);
      for (const auto& [name, value] : loaded.tensors("model"))
        if (name == "norm.running_var") CHECK(close(value.to_vector<double>(), training.reference.var[0]));
      loaded.prepare("model", resumed).commit();
      for (Training* both : {&training, &again}) both->step(7, 3), both->step(4, 4);
      for (int i = 0; i < 3; ++i) {
        CHECK(values(resumed.norm.running_mean, i) == values(net.norm.running_mean, i));
        CHECK(values(resumed.norm.running_var, i) == values(net.norm.running_var, i));
      }
      nn::state_of(net), nn::state_of(resumed);
      CHECK(values(resumed.norm.running_var, 2) == values(net.norm.running_var, 2));
    }
  }

  TEST_CASE("copies of a module, averages and module.to() take the merged ones") {
    const auto devices = devices_here(2);
    Net net;
    Training training(net, devices);
    training.step(5, 0);
    training.reference.merge();
    Net copy;
    copy.copy_from(net);
    CHECK(close(values(copy.norm.running_var, 0), training.reference.var[0]));
    nn::Ema ema(net);
    training.step(5, 1);
    training.reference.merge();
    ema.update();
    for (const auto& [name, value] : ema.state())
      if (name == "norm.running_mean") CHECK(close(value.to_vector<double>(), training.reference.mean[0]));
    training.step(3, 2);
    training.reference.merge();
    net.to(devices_here(4));
    for (int i = 0; i < 4; ++i) CHECK(close(values(net.norm.running_var, i), training.reference.var[0]));
  }
}
