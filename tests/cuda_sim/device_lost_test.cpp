// A device is lost at any call of a data-parallel training step on four simulated devices: the error names it, nobody
// waits, the trainer goes no further, the values of the others are those of before or after the step and can be saved,
// and a new model trains on them as if there had never been more.
//
// WEFT_SIM_FAULTS: how many places per kind and device are tried, drawn from the seed of the tests; "all" for every
// one.
#include <optional>

#include "tests/cuda_sim/failure.h"

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

}  // namespace

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
      try_places(total, random, [&](int64_t nth) { return lose_at(loss, device, nth, clean, *without, counts); });
    }
    print(std::string("device lost by ") + (loss.kind == FaultKind::device_lost ? "any call" : sim::name_of(loss.kind)),
          counts);
  }
}
