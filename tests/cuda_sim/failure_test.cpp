// Every call of CUDA, cuBLAS and cuDNN in a data-parallel training step on four simulated devices fails once: the error
// comes out with its device, nobody waits, the copies of the parameters stay equal and unchanged, nothing is misused on
// the way out, and the next step gives the bits of a run that never failed.
//
// WEFT_SIM_FAULTS: how many places per kind and device are tried, drawn from the seed of the tests; "all" for every
// one.
#include "tests/cuda_sim/failure.h"

#include <cublas_v2.h>
#include <cudnn_graph.h>

#include <optional>

using namespace weft;
using namespace weft::test;

namespace {

struct Row {
  FaultKind kind;
  int code;
  int64_t count;      // calls in a row that fail
  bool always_fails;  // or something made it good
  bool overlap = true;
  int64_t most = INT64_MAX;  // places that are tried
};
const Row rows[] = {
    {FaultKind::malloc, cudaErrorMemoryAllocation, 1, false},  // asked again when the cache has been emptied
    {FaultKind::malloc, cudaErrorMemoryAllocation, 2, false},  // sums in advance are made afterwards instead
    {FaultKind::host_alloc, cudaErrorMemoryAllocation, 1, false},
    {FaultKind::host_alloc, cudaErrorMemoryAllocation, 2, true},
    {FaultKind::launch, cudaErrorInvalidConfiguration, 1, false},  // an update is made good from another device
    {FaultKind::copy, cudaErrorInvalidValue, 1, true},
    {FaultKind::event, cudaErrorUnknown, 1, false},  // pinned memory whose end cannot be known is not used again
    {FaultKind::cublas, CUBLAS_STATUS_INTERNAL_ERROR, 1, true},
    {FaultKind::cudnn, CUDNN_STATUS_EXECUTION_FAILED, 1, true},
    {FaultKind::cublas_setup, CUBLAS_STATUS_INTERNAL_ERROR, 1, true, true, 8},
    {FaultKind::cudnn_setup, CUDNN_STATUS_INTERNAL_ERROR, 1, true, true, 8},
    {FaultKind::select, cudaErrorUnknown, 1, false, true, 8},  // on the way back, or of memory that is given back
    {FaultKind::query, cudaErrorUnknown, 1, false, true, 8},
    {FaultKind::wait, cudaErrorUnknown, 1, false, true, 8},
    {FaultKind::malloc, cudaErrorMemoryAllocation, 2, true, false},  // last: its training is another
};

// A training after one good step, put back there after every fault.
struct Repeated {
  const Clean& clean;
  Training training;

  Repeated(const Clean& run, bool overlap) : clean(run), training(cuda_devices(), {.overlap = overlap}) {
    training.step();
  }

  void back_to_one() {
    const std::vector<nn::Parameter> parameters = training.net.parameters();
    for (size_t i = 0; i < parameters.size(); ++i)
      parameters[i].set(tensor(clean.after_one[i], parameters[i].shape(), "cpu"));
    training.trainer.load_state(clean.state_after_one);
    if (training.values(0) != clean.after_one) FAIL("the training cannot be put back");
  }

  int64_t fail_at(const Row& row, int device, int64_t nth, Counts& counts) {
    CAPTURE(std::string(sim::name_of(row.kind)));
    CAPTURE(device);
    CAPTURE(nth);
    back_to_one();
    if (row.kind == FaultKind::host_alloc) empty_cache(Device(DeviceType::cuda, device));
    sim::clear_faults();
    sim::inject({.kind = row.kind, .device = device, .nth = nth, .count = row.count, .code = row.code});
    const std::string text = error_of([&] { training.step(); });
    const int64_t fired = sim::fired(row.kind);
    sim::clear_faults();
    if (fired == 0) {
      CHECK(text == "");
      return 0;
    }
    CAPTURE(text);
    counts.fired += fired, ++counts.places, counts.refused += !text.empty();
    if (row.always_fails) CHECK(text != "");
    if (row.kind == FaultKind::host_alloc)
      CHECK((text.empty() || has(text, "pinned memory")));
    else if (row.kind == FaultKind::select)  // of the device that was to be chosen, where the question for it fails
      CHECK((text.empty() || has(text, "set device: CUDA error 999 (")));
    else
      CHECK((text.empty() || has(text, "cuda:" + std::to_string(device))));
    CHECK(training.copies_hold(text.empty() ? clean.after_two : clean.after_one));
    CHECK(reports(text) == "");
    if (!text.empty()) {
      CHECK(error_of([&] { training.step(); }) == "");
      CHECK(training.copies_hold(clean.after_two));
    }
    CHECK(reports() == "");
    return fired;
  }
};

}  // namespace

TEST_CASE("a label out of range on one of four devices is an error of the step, and nothing has changed") {
  const Afresh afresh;
  const Clean clean(cuda_devices());
  Training training(cuda_devices());
  training.step();
  const Tensor good = training.labels;
  training.labels = tensor(std::vector<int64_t>{0, 1, 2, 2, 1, 77}, {6}, "cpu");
  CHECK(has(error_of([&] { training.step(); }), "cross_entropy: a label "));
  CHECK(training.copies_hold(clean.after_one));
  training.labels = good;
  training.step();
  CHECK(training.copies_hold(clean.after_two));
}

TEST_CASE("every call of a training step on four devices fails once, and the next step is as if none had") {
  const Afresh afresh;
  const Clean clean(cuda_devices());
  std::optional<Repeated> repeated(std::in_place, clean, true);
  std::mt19937_64 random(test::test_seed());
  for (const Row& row : rows) {
    Counts counts;
    if (!row.overlap) repeated.emplace(clean, false);
    for (int device = 0; device < device_total; ++device) {
      repeated->back_to_one();
      if (row.kind == FaultKind::host_alloc) empty_cache(Device(DeviceType::cuda, device));
      sim::clear_faults();
      repeated->training.step();
      try_places(
          sim::consulted(row.kind, device), random,
          [&](int64_t nth) { return repeated->fail_at(row, device, nth, counts); }, row.most);
    }
    print(std::string(sim::name_of(row.kind)) + (row.count > 1 ? " twice in a row" : "") +
              (row.overlap ? "" : ", no sums in advance"),
          counts);
  }
}
