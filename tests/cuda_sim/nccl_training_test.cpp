// NCCL fails at every point of a data-parallel training step on four devices: the error comes out with its device,
// nobody waits for ever, the copies of the parameters stay equal, and the next good step gives the bits of a run that
// never failed.
#include <doctest/doctest.h>
#include <nccl.h>

#include <chrono>
#include <string>
#include <thread>

#include "tests/cuda_sim/operand.h"
#include "tests/cuda_sim/sim.h"
#include "weft/nn/nn.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/parallel/workers.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::test;
using namespace std::chrono_literals;

namespace {

struct Net : nn::Module {
  nn::Conv2d first{3, 4, {.kernel = 1}};
  nn::BatchNorm2d norm{4, {.relu = true, .sync = true}};
  nn::Conv2d last{4, 2, {.kernel = 1}};
  WEFT_MEMBERS(first, norm, last)
  Tensor forward(const Tensor& x) const { return last(norm(first(x))); }
};

std::vector<Device> four_devices() { return {"cuda:0", "cuda:1", "cuda:2", "cuda:3"}; }

struct Training {
  explicit Training(int shares)
      : options{.shares = shares},
        model(net, four_devices(), options),
        criterion(nn::SoftmaxCrossEntropyLoss(), four_devices(), options),
        trainer(net.parameters(), nn::optim::SGD({.lr = 0.1, .momentum = 0.9})) {
    const DeviceGuard host("cpu");
    x = randn({7, 3, 2, 2});
    y = uniform({7, 2, 2}, 0, 2).to(DType::i64);
  }
  void step() {
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(x), y);
    }
    parallel::parallel_backward(losses);
    trainer.step();
  }
  // Of each device, all parameters one after the other.
  std::vector<std::vector<float>> values() const {
    std::vector<std::vector<float>> all(4);
    for (const nn::Parameter& p : net.parameters())
      for (int i = 0; i < 4; ++i)
        for (const float v : p.at(i).to("cpu").to_vector<float>()) all[static_cast<size_t>(i)].push_back(v);
    return all;
  }

  const GeneratorGuard seed{Generator(3)};
  parallel::DataParallelOptions options;
  Net net;
  parallel::DataParallelModel<Net> model;
  parallel::DataParallelCriterion<nn::SoftmaxCrossEntropyLoss> criterion;
  parallel::Trainer trainer;
  Tensor x, y;
};

using Values = std::vector<std::vector<float>>;

// The values after 0, 1, … steps of a run that never failed.
std::vector<Values> clean_run(int shares) {
  Training training(shares);
  std::vector<Values> after{training.values()};
  for (int step = 0; step < 2; ++step) {
    training.step();
    after.push_back(training.values());
  }
  return after;
}

struct Outcome {
  int64_t fired = 0, refused = 0, places = 0;
};

// One run whose step number `step` meets the fault; whether it fired.
bool meets(const sim::Fault& fault, int step, int shares, const std::vector<Values>& after, Outcome& outcome) {
  fresh_devices();
  Training training(shares);
  for (int i = 0; i < step; ++i) training.step();
  for (const Device device : four_devices()) synchronize(device);
  sim::clear_faults();
  sim::inject(fault);
  if (fault.kind == sim::FaultKind::nccl_lost_peer) set_comm_options({.deadline = 300ms, .abort_deadline = 10s});
  std::string error;
  const auto began = std::chrono::steady_clock::now();
  try {
    training.step();
    for (const Device device : four_devices()) synchronize(device);
  } catch (const std::exception& e) {
    error = e.what();
  }
  const auto took = std::chrono::steady_clock::now() - began;
  const bool fired = sim::fired(fault.kind) > 0;
  sim::clear_faults();
  set_comm_options({.deadline = 30s, .abort_deadline = 10s});
  CHECK(took < 30s);
  sim::run_all();
  if (!error.empty()) {
    CHECK(fired);
    CHECK_MESSAGE(error.find("cuda:") != std::string::npos, error);
    for (const std::string& report : sim::take_reports())  // what a lost collective has not written
      CHECK_MESSAGE(report.find("uninitialised read: ") == 0, report);
    const Values values = training.values();
    for (size_t i = 1; i < values.size(); ++i) CHECK(values[i] == values[0]);
    CHECK(values == after[static_cast<size_t>(step)]);
    training.step();
    ++outcome.refused;
  }
  CHECK(training.values() == after[static_cast<size_t>(step) + 1]);
  const std::vector<std::string> reports = sim::take_reports();
  CHECK_MESSAGE(reports.empty(), (reports.empty() ? std::string() : reports[0]));
  outcome.fired += fired, outcome.places += fired;
  return fired;
}

void print(sim::FaultKind kind, const std::string& where, const Outcome& outcome) {
  MESSAGE(std::string(sim::name_of(kind)), ", ", where, ": ", outcome.fired, " faults fired at ", outcome.places,
          " places, ", outcome.refused, " steps refused");
}

// A collective of the second step is lost, and the abort of its communicator hangs on `device`: everybody who waits is
// told within the deadlines, and a process that starts afresh trains as if nothing had been.
bool hangs(int64_t nth, int device, const std::vector<Values>& after, Outcome& outcome) {
  fresh_devices();
  bool fired = false;
  {
    Training training(0);
    training.step();
    for (const Device place : four_devices()) synchronize(place);
    sim::clear_faults();
    sim::inject({.kind = sim::FaultKind::nccl_lost_peer, .nth = nth, .code = 1});
    sim::inject({.kind = sim::FaultKind::nccl_abort, .device = device, .code = 1});
    set_comm_options({.deadline = 200ms, .abort_deadline = 100ms});
    std::string error;
    const auto began = std::chrono::steady_clock::now();
    try {
      training.step();
      for (const Device place : four_devices()) synchronize(place);
    } catch (const std::exception& e) {
      error = e.what();
    }
    fired = sim::fired(sim::FaultKind::nccl_abort) > 0;
    CHECK(fired == (sim::fired(sim::FaultKind::nccl_lost_peer) > 0));
    CHECK(fired == !error.empty());
    if (fired) {
      CHECK_MESSAGE(error.find("its abort has not ended within 0.1 s") != std::string::npos, error);
      CHECK_MESSAGE(error.find("newest first: all_reduce #") != std::string::npos, error);
      CHECK_THROWS_AS(synchronize(four_devices()[static_cast<size_t>(device)]), CommError);  // others may be free
    }
    CHECK(std::chrono::steady_clock::now() - began < 15s);
    set_comm_options({.deadline = 30s, .abort_deadline = 10s});
  }
  fresh_devices();  // the abort ends
  sim::take_reports();
  if (fired) {
    Training training(0);
    training.step();
    CHECK(training.values() == after[1]);
    CHECK(sim::take_reports().empty());
  }
  outcome.fired += fired, outcome.places += fired, outcome.refused += fired;
  return fired;
}

}  // namespace

TEST_SUITE("cuda_sim/nccl_training") {
  TEST_CASE("a rank fails while a collective of the call is lost: told is the cause, and nobody of the loss later") {
    fresh_devices();
    const CommOptions before = comm_options();
    {
      const std::vector<Device> devices{"cuda:0", "cuda:1"};
      const Tensors x{ones({4}, {.device = devices[0]}), ones({4}, {.device = devices[1]})};
      const auto workers = parallel::Workers::acquire(devices);
      Tensors y = ops::all_reduce(x);
      finish_collectives(devices);
      sim::inject({.kind = sim::FaultKind::nccl_lost_peer, .device = 1, .code = 1});
      set_comm_options({.deadline = 100ms, .abort_deadline = 100ms});
      std::string error;
      try {
        workers->run_all([&](int rank) {
          if (rank == 1) return;
          y = ops::all_reduce(x);
          fail<Error>("planted");
        });
      } catch (const Error& e) {
        error = e.what();
      }
      CHECK(sim::fired(sim::FaultKind::nccl_lost_peer) == 1);
      CHECK_MESSAGE(error.find("planted") != std::string::npos, error);
      CHECK(error.find("all_reduce") == std::string::npos);
      std::thread([&] {
        for (const Device device : devices) CHECK_NOTHROW(synchronize(device));
      }).join();
      for (const Device device : devices) CHECK_NOTHROW(synchronize(device));
      CHECK_NOTHROW(finish_collectives(devices));
    }
    set_comm_options(before);
    fresh_devices();
  }

  TEST_CASE("NCCL fails at every point of a training step") {
    const CommOptions before = comm_options();
    set_comm_options({.deadline = 30s, .abort_deadline = 10s});
    struct Kind {
      const char* name;
      sim::FaultKind kind;
      int code;
      int64_t stride;  // of the points that are tried
    };
    const Kind kinds[] = {{"calls", sim::FaultKind::nccl, ncclInternalError, 1},
                          {"asynchronous errors", sim::FaultKind::nccl_async, ncclSystemError, 7},
                          {"lost peers", sim::FaultKind::nccl_lost_peer, 1, 3}};
    for (const int shares : {0, 4}) {
      fresh_devices();
      const std::vector<Values> after = clean_run(shares);
      for (const Kind& kind : kinds)
        for (int step = 0; step < 2; ++step) {  // the first makes the communicators
          CAPTURE(shares);
          CAPTURE(std::string(kind.name));
          CAPTURE(step);
          Outcome outcome;
          int64_t nth = 0;
          while (meets({.kind = kind.kind, .nth = nth, .code = kind.code}, step, shares, after, outcome))
            nth += kind.stride;
          print(kind.kind, "in step " + std::to_string(step) + ", " + std::to_string(shares) + " shares", outcome);
          CHECK(outcome.fired > 5);
          CHECK(outcome.refused > 5);
        }
    }
    set_comm_options(before);
    fresh_devices();
  }

  TEST_CASE("a peer is slow at any collective of a training step: the step is as if none had been") {
    const CommOptions before = comm_options();
    fresh_devices();
    const std::vector<Values> after = clean_run(0);
    Outcome outcome;
    for (int64_t nth = 0; meets({.kind = sim::FaultKind::nccl_slow_peer, .nth = nth, .code = 20}, 1, 0, after, outcome);
         nth += 5) {
    }
    print(sim::FaultKind::nccl_slow_peer, "in step 1", outcome);
    CHECK(outcome.fired > 3);
    CHECK(outcome.refused == 0);
    set_comm_options(before);
    fresh_devices();
  }

  TEST_CASE("a peer is lost at any collective of a training step, and the abort hangs: everybody is told") {
    const CommOptions before = comm_options();
    fresh_devices();
    const std::vector<Values> after = clean_run(0);
    Outcome outcome;
    int device = 0;
    for (int64_t nth = 0; hangs(nth, device, after, outcome); nth += 7) device = (device + 1) % 4;
    print(sim::FaultKind::nccl_abort, "in step 1", outcome);
    CHECK(outcome.fired > 2);
    set_comm_options(before);
    fresh_devices();
  }
}
