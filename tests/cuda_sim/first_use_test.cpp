// First use of a device fails, at every call that sets it up: an ordinary error that names the operation, the device
// and what to do; nothing is left half-done, and a second try works.
#include <cublas_v2.h>
#include <cudnn_graph.h>

#include "tests/cuda_sim/failure.h"
#include "weft/cuda/check.h"
#include "weft/cuda/handle.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;

namespace {

float sum_of_ones(Device device) { return (ones({4}, {.device = device}) + 1.0).sum().item<float>(); }

struct Way {
  FaultKind kind;
  int code;
};

// One call fails while the context of a device is made; whether there was such a call.
bool fails_at(const Way& way, int device, int64_t nth, Counts& counts) {
  CAPTURE(std::string(sim::name_of(way.kind)));
  CAPTURE(device);
  CAPTURE(nth);
  fresh_devices();
  sim::inject({.kind = way.kind, .nth = nth, .code = way.code});
  const std::string text = error_of([&] { cuda::Context::of(device); });
  const bool fired = sim::fired(way.kind) > 0;
  sim::clear_faults();
  const bool made_good = way.kind == FaultKind::select && cuda::Context::if_used(device);  // on the way back
  CHECK((fired && !made_good) == (text != ""));
  CHECK(cudaGetLastError() == cudaSuccess);  // no launch is told of it
  if (fired) ++counts.fired, ++counts.places;
  if (text != "") {
    ++counts.refused;
    CAPTURE(text);
    CHECK(has(text, ": "));
    CHECK(has(text, "cuda:" + std::to_string(device)));
    CHECK(has(text, "; "));
    CHECK(has(text, "CUDA error " + std::to_string(way.code)));
    CHECK(cuda::Context::if_used(device) == nullptr);
    CHECK(sim::live_handles() == 0);
    CHECK(sim::live_allocations() == 0);
  }
  CHECK(sum_of_ones(Device(DeviceType::cuda, device)) == 8);
  CHECK(cuda::active_device() == -1);
  CHECK(reports() == "");
  return fired;
}

// The first step of a process, with one call that fails; then another try.
int64_t step_fails_at(const Way& way, int device, int64_t nth, const Clean& clean, Counts& counts) {
  CAPTURE(std::string(sim::name_of(way.kind)));
  CAPTURE(device);
  CAPTURE(nth);
  const Afresh afresh;
  sim::inject({.kind = way.kind, .device = device, .nth = nth, .code = way.code});
  const auto first_step = [&] {
    Training training(cuda_devices());
    training.step();
    CHECK(training.copies_hold(clean.after_one));
  };
  const std::string text = error_of(first_step);
  const int64_t fired = sim::fired(way.kind);
  sim::clear_faults();
  if (fired > 0) {
    CAPTURE(text);
    counts.fired += fired, ++counts.places, counts.refused += text != "";
    const bool chooses = way.kind == FaultKind::select;  // which may fail on the way to another
    if (text != "") CHECK(has(text, "cuda:" + (chooses ? "" : std::to_string(device))));
    CHECK(reports(text) == "");
    CHECK(error_of(first_step) == "");
  }
  CHECK(reports() == "");
  return fired;
}

}  // namespace

TEST_CASE("first use of a device fails at every call of its set-up, and a second try works") {
  for (const Way& way : {Way{FaultKind::setup, cudaErrorUnknown}, Way{FaultKind::select, cudaErrorDevicesUnavailable},
                         Way{FaultKind::query, cudaErrorInitializationError}}) {
    Counts counts;
    for (int device = 0; device < 2; ++device)
      for (int64_t nth = 0; fails_at(way, device, nth, counts); ++nth) {
      }
    print(std::string(sim::name_of(way.kind)) + ", first use of a device", counts);
  }
  fresh_devices();
}

TEST_CASE("first use of a device whose peer is lost: the peer has no access, and no launch is told of it") {
  fresh_devices();
  sim::inject({.kind = FaultKind::setup, .device = 0, .code = cudaErrorECCUncorrectable});
  cuda::Context::of(2);
  CHECK(sim::fired(FaultKind::setup) == 1);
  CHECK(error_of([] { CHECK(sum_of_ones("cuda:2") == 8); }) == "");
  fresh_devices();
  sim::inject({.kind = FaultKind::setup, .device = 0, .code = cudaErrorECCUncorrectable});
  cuda::Context::of(2);
  const cuda::DeviceScope scope(2);
  CHECK(cudaGetLastError() == cudaSuccess);  // what a launch would return
  fresh_devices();
}

TEST_CASE("a choice of device that fails on the way back is made good, and no launch is told of it") {
  fresh_devices();
  CHECK(cudaSetDevice(2) == cudaSuccess);
  for (int64_t failures = 1; failures <= 2; ++failures) {
    CAPTURE(failures);
    {
      const cuda::DeviceScope outer(0);
      {
        const cuda::DeviceScope inner(1);
        sim::inject({.kind = FaultKind::select, .count = failures, .code = cudaErrorUnknown});
      }
      sim::clear_faults();
      CHECK(cudaGetLastError() == cudaSuccess);
      CHECK(cuda::active_device() == (failures == 1 ? 0 : -1));
      const cuda::DeviceScope again(0);
      CHECK(sim::current_device() == 0);
    }
    CHECK(sim::current_device() == 2);
    CHECK(cuda::active_device() == -1);
  }
  fresh_devices();
}

TEST_CASE("a device that cannot be chosen is the one the error names") {
  fresh_devices();
  const cuda::DeviceScope outer(0);
  sim::inject({.kind = FaultKind::select, .device = 1, .code = cudaErrorDevicesUnavailable});
  const std::string text = error_of([] { const cuda::DeviceScope inner(1); });
  CHECK_MESSAGE(has(text, "set device: CUDA error 46 ("), text);
  CHECK_MESSAGE(has(text, ") on cuda:1; "), text);
  fresh_devices();
}

TEST_CASE("what cannot be destroyed leaves no error for the next launch on another device") {
  fresh_devices();
  {
    const Tensor x = ones({4}, {.device = "cuda:1"});
    {
      cuda::UniqueEvent event;
      const cuda::DeviceScope scope(0);
      CHECK(cudaEventCreateWithFlags(event.out(), cudaEventDisableTiming) == cudaSuccess);
      sim::inject({.kind = FaultKind::release, .device = 0, .code = cudaErrorIllegalAddress});
    }
    CHECK(sim::fired(FaultKind::release) == 1);
    {
      const cuda::DeviceScope scope(1);
      CHECK(cudaGetLastError() == cudaSuccess);  // what a launch would return
    }
    CHECK(error_of([&] { CHECK((x + x).sum().item<float>() == 8); }) == "");
  }
  fresh_devices();
}

TEST_CASE("an error word that cannot be cleared is cleared later: marks are told, and told once") {
  fresh_devices();
  {
    const Device there("cuda:0");
    const Tensor logits = zeros({2, 4}, {.device = there});
    const auto loss_of = [&](int64_t label) {
      return cross_entropy(logits, tensor(std::vector<int64_t>{0, label}, {2}, there));
    };
    loss_of(0);
    synchronize(there);
    const size_t before = sim::live_allocations();
    loss_of(9);
    sim::inject({.kind = FaultKind::copy, .nth = 1, .code = cudaErrorUnknown});  // 0 reads the word
    CHECK(has(error_of([&] { synchronize(there); }), "error word: CUDA error 999 ("));
    CHECK(has(error_of([&] { synchronize(there); }), "cross_entropy: a label "));
    CHECK(error_of([&] { synchronize(there); }) == "");
    CHECK(sim::live_allocations() == before);
  }
  fresh_devices();
}

TEST_CASE("the first training step of a process fails at any call of its set-up, and a second try is as if none had") {
  const Clean clean = [] {
    const Afresh afresh;
    return Clean(cuda_devices());
  }();
  std::mt19937_64 random(test::test_seed());
  for (const Way& way :
       {Way{FaultKind::setup, cudaErrorUnknown}, Way{FaultKind::select, cudaErrorUnknown},
        Way{FaultKind::query, cudaErrorUnknown}, Way{FaultKind::malloc, cudaErrorMemoryAllocation},
        Way{FaultKind::cublas, CUBLAS_STATUS_INTERNAL_ERROR},
        Way{FaultKind::cublas_setup, CUBLAS_STATUS_INTERNAL_ERROR}, Way{FaultKind::cudnn, CUDNN_STATUS_INTERNAL_ERROR},
        Way{FaultKind::cudnn_setup, CUDNN_STATUS_INTERNAL_ERROR}}) {
    Counts counts;
    for (int device = 0; device < device_total; device += 3) {
      int64_t total = 0;
      {
        const Afresh afresh;
        Training training(cuda_devices());
        training.step();
        total = sim::consulted(way.kind, device);
      }
      try_places(
          total, random, [&](int64_t nth) { return step_fails_at(way, device, nth, clean, counts); }, 8);
    }
    print(std::string(sim::name_of(way.kind)) + ", first step of a process", counts);
  }
}
