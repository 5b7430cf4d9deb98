// Calls that may wait for a device do not run beside a collective, not even one that another thread launches between
// the look and the call: with its peer lost they would wait for ever. See cuda/memory_lock.h.
#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <thread>

#include "tests/cuda_sim/operand.h"
#include "tests/cuda_sim/sim.h"
#include "weft/cuda/nccl_cliques.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/creation.h"
#include "weft/tensor/ops/conv2d.h"
#include "weft/tensor/tuning.h"

using namespace weft;
using namespace weft::test;
using namespace std::chrono_literals;

namespace {

const Device cuda0("cuda:0"), cuda1("cuda:1");

// Two devices with a communicator, and a collective of theirs whose peer is lost, given up after a short deadline.
struct Lost {
  CommOptions before = comm_options();
  Tensors x, y;

  Lost() {
    fresh_devices();
    x = {ones({6}, {.device = cuda0}), ones({6}, {.device = cuda1})};
    y = ops::all_reduce(x);
    for (const Device device : {cuda0, cuda1}) synchronize(device);
    set_comm_options({.deadline = 200ms, .abort_deadline = 5s});
    sim::inject({.kind = sim::FaultKind::nccl_lost_peer, .device = 1, .code = 1});
  }
  ~Lost() {
    set_comm_options(before);
    CHECK_THROWS_AS(synchronize(cuda0), CommError);  // each thread is told once
    CHECK_NOTHROW(synchronize(cuda1));
    CHECK(sim::take_reports().empty());
    x.clear(), y.clear();
    fresh_devices();
  }
  Lost(const Lost&) = delete;
  Lost& operator=(const Lost&) = delete;

  // `meanwhile` runs when cuda:0's part is on its way and nothing is launched yet.
  void launch(const std::function<void()>& meanwhile = [] {}) {
    cuda::Cliques::instance().launch(
        {0, 1}, {"all_reduce", "float32[6]", 24}, {current_stream(cuda0), current_stream(cuda1)},
        [&](size_t rank, ncclComm_t comm, cudaStream_t stream) {
          if (rank == 1) meanwhile();
          return ncclAllReduce(x[rank].raw(), y[rank].raw(), 6, ncclFloat32, ncclSum, comm, stream);
        });
  }

  // `call` finds no collective under way, and there is one when it has the lock.
  void launch_beside(const std::function<void()>& call) {
    std::thread other;
    launch([&] {
      other = std::thread(call);
      std::this_thread::sleep_for(100ms);
    });
    const auto began = std::chrono::steady_clock::now();
    other.join();
    CHECK(std::chrono::steady_clock::now() - began < 4s);
  }
};

}  // namespace

TEST_SUITE("cuda_sim/nccl_quiet") {
  TEST_CASE("a pageable copy waits for a collective that was launched before it had the lock") {
    Lost lost;
    std::vector<float> values(6);
    lost.launch_beside([&] {
      const Stream stream = current_stream(cuda0);
      backend(DeviceType::cuda).copy(values.data(), Device(), lost.x[0].raw(), cuda0, 6 * sizeof(float), stream);
    });
    CHECK(values == std::vector<float>(6, 1));
  }

  TEST_CASE("empty_cache waits for a collective that was launched before it had the lock") {
    Lost lost;
    lost.launch_beside([] { empty_cache(cuda0); });
  }

  TEST_CASE("plans of cuDNN are not forgotten beside a collective") {
    const auto convolve = [] {
      const TensorOptions there{.device = cuda0};
      ops::conv2d(ones({1, 2, 3, 3}, there), ones({2, 2, 1, 1}, there), Tensor());
    };
    Lost lost;
    convolve();
    set_timed_plans(2);  // what was found so far is out of date
    set_timed_plans(1);
    lost.launch();
    const auto began = std::chrono::steady_clock::now();
    convolve();
    CHECK(std::chrono::steady_clock::now() - began < 4s);
  }
}
