// A device is lost at any call of a data-parallel training step on four simulated devices: the error names it, nobody
// waits, the trainer goes no further, the values of the others are those of before or after the step and can be saved,
// and a new model trains on them as if there had never been more.
//
// WEFT_SIM_FAULTS: how many places per kind and device are tried, drawn from the seed of the tests; "all" for every
// one.
#include <cmath>
#include <optional>

#include "tests/cuda_sim/failure.h"
#include "tests/support/temp_folder.h"
#include "weft/nn/serialize.h"

using namespace weft;
using namespace weft::test;

namespace {

struct Loss {
  FaultKind kind;
  int code;
};
const Loss losses[] = {
    {FaultKind::device_lost, cudaErrorECCUncorrectable},  // at any call
    {FaultKind::launch, cudaErrorIllegalAddress},         // when a kernel runs, long after its launch
    {FaultKind::copy, cudaErrorLaunchFailure},
    {FaultKind::release, cudaErrorIllegalAddress},  // by what gives memory, events or descriptors back
};

// The survivors of `training` hold equal values of before or after the step; they can be saved, and used.
void check_survivors(Training& training, int lost, const Clean& clean, const Clean& without) {
  const Values kept = training.values(lost == 0 ? 1 : 0);
  CHECK((kept == clean.after_one || kept == clean.after_two));
  CHECK(training.copies_hold(kept, lost));

  const nn::NamedTensors saved = nn::state_of(training.net);
  for (size_t i = 0; i < kept.size(); ++i) CHECK(saved[i].second.to("cpu").to_vector<float>() == kept[i]);
  CHECK(training.trainer.state().size() == clean.state_after_one.size());

  Training fresh(cuda_devices(lost));
  fresh.step();
  CHECK(fresh.copies_hold(without.after_one));
}

int64_t lose_at(const Loss& loss, int device, int64_t nth, const Clean& clean, const Clean& without, Counts& counts) {
  CAPTURE(std::string(sim::name_of(loss.kind)));
  CAPTURE(device);
  CAPTURE(nth);
  const Afresh afresh;
  int64_t fired = 0;
  {
    Training training(cuda_devices());
    training.step();
    if (training.values(device) != clean.after_one) FAIL("the first step went wrong");
    sim::clear_faults();
    sim::inject({.kind = loss.kind, .device = device, .nth = nth, .code = loss.code});
    std::string text = error_of([&] { training.step(); });
    counts.refused += !text.empty();
    // What runs later, or by a call that has nobody to tell, is said by the next.
    if (text.empty()) text = error_of([] { synchronize(); });
    fired = sim::fired(loss.kind);
    sim::clear_faults();
    if (fired > 0) {
      CAPTURE(text);
      counts.fired += fired, ++counts.places;
      CHECK(has(text, "cuda:" + std::to_string(device) + " is lost: CUDA error " + std::to_string(loss.code)));
      CHECK(error_of([&] { training.step(); }) != "");
      check_survivors(training, device, clean, without);
    }
  }
  CHECK(reports() == "");
  return fired;
}

// Batch norm whose ranks gather running statistics of their own.
struct Plain : nn::Module {
  nn::BatchNorm2d norm{2, {.momentum = 0.5}};
  WEFT_MEMBERS(norm)
  Tensor forward(const Tensor& x) const { return norm(x); }
};

void lose(int device) {
  sim::clear_faults();
  sim::inject({.kind = FaultKind::device_lost, .device = device, .code = cudaErrorECCUncorrectable});
  CHECK(has(error_of([&] { synchronize(Device(DeviceType::cuda, device)); }), "is lost"));
  sim::clear_faults();
}

}  // namespace

TEST_CASE("a device is lost: what the other ranks' batch norms have seen is merged and saved; of none, an error") {
  const double counts[] = {18, 18, 9, 9};  // 6 samples of 3x3 over 4 devices
  for (const int lost : {0, 2}) {
    CAPTURE(lost);
    const Afresh afresh;
    {
      Plain net;
      const parallel::DataParallelModel model(net, cuda_devices());
      {
        const DeviceGuard host("cpu");
        const autograd::TrainMode train;
        model(randn({6, 2, 3, 3}));
      }
      std::vector<double> mean[4], variance[4], merged_mean(2), merged_variance(2);
      double total = 0;
      for (int i = 0; i < device_total; ++i) {
        mean[i] = net.norm.running_mean.at(i).to_vector<double>();
        variance[i] = net.norm.running_var.at(i).to_vector<double>();
        if (i != lost) total += counts[i];
      }
      for (size_t c = 0; c < 2; ++c) {
        for (int i = 0; i < device_total; ++i)
          if (i != lost) merged_mean[c] += counts[i] / total * mean[i][c];
        for (int i = 0; i < device_total; ++i)
          if (i != lost)
            merged_variance[c] += counts[i] / total * (variance[i][c] + std::pow(mean[i][c] - merged_mean[c], 2));
      }
      lose(lost);
      for (const auto& [name, value] : nn::state_of(net)) {
        const auto saved = value.to("cpu").to_vector<double>();
        for (size_t c = 0; c < 2; ++c) {
          if (name == "norm.running_mean") CHECK(saved[c] == doctest::Approx(merged_mean[c]).epsilon(1e-5));
          if (name == "norm.running_var") CHECK(saved[c] == doctest::Approx(merged_variance[c]).epsilon(1e-5));
        }
      }
      for (int i = 0; i < device_total; ++i)
        if (i != lost) lose(i);
      const TempFolder folder;
      CHECK(has(error_of([&] { nn::save(net, folder / "lost.safetensors"); }), "is lost"));
      CHECK(folder.files().empty());
    }
    CHECK(reports() == "");
  }
}

TEST_CASE("a device is lost at any call of a training step: the others can be saved, and a new model trains on them") {
  const Clean clean = [] {
    const Afresh afresh;
    return Clean(cuda_devices());
  }();
  std::mt19937_64 random(test::test_seed());
  for (const Loss& loss : losses) {
    Counts counts;
    for (int device = 0; device < device_total; ++device) {
      int64_t total = 0;
      std::optional<Clean> without;
      {
        const Afresh afresh;
        without.emplace(cuda_devices(device));
        Training training(cuda_devices());
        training.step();
        sim::clear_faults();
        training.step();
        total = sim::consulted(loss.kind, device);
      }
      try_places(
          total, random, [&](int64_t nth) { return lose_at(loss, device, nth, clean, *without, counts); },
          loss.kind == FaultKind::release ? 6 : INT64_MAX);
    }
    print(std::string("device lost by ") + (loss.kind == FaultKind::device_lost ? "any call" : sim::name_of(loss.kind)),
          counts);
  }
}
