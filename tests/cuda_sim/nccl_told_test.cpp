// Who is told that results of a collective are lost: each thread that reads one or finishes, whatever its errors
// were taken for on the way. And what waits for devices beside a collective whose peer is lost comes to its end.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <thread>

#include "tests/cuda_sim/message.h"
#include "tests/cuda_sim/operand.h"
#include "tests/cuda_sim/sim.h"
#include "tests/cuda_sim/tuned.h"
#include "weft/cuda/nccl_cliques.h"
#include "weft/cuda/pinned.h"
#include "weft/cuda/stream.h"
#include "weft/nn/answering.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/creation.h"
#include "weft/tensor/error.h"
#include "weft/tensor/ops/conv2d.h"
#include "weft/tensor/profile.h"
#include "weft/tensor/tuning.h"

using namespace weft;
using namespace weft::test;
using namespace std::chrono_literals;

namespace {

const Device cuda0("cuda:0"), cuda1("cuda:1");
const std::vector<Device> both{cuda0, cuda1};

std::string deadlocks() {
  std::string text;
  for (const std::string& report : sim::take_reports())
    if (has(report, "deadlock")) text += report;
  return text;
}

// Two devices with a communicator, and a sum of theirs that never comes to its end.
struct Afresh {
  CommOptions before = comm_options();
  Tensors x, y;

  Afresh() {
    fresh_devices();
    sim::set_deadlock_seconds(1);
    x = {ones({6}, {.device = cuda0}), ones({6}, {.device = cuda1})};
    ops::all_reduce(x);
    finish_collectives(both);
    set_comm_options({.deadline = 200ms, .abort_deadline = 5s});
  }
  ~Afresh() {
    set_comm_options(before);
    sim::set_deadlock_seconds(5);
    x.clear(), y.clear();
    fresh_devices();
  }
  Afresh(const Afresh&) = delete;
  Afresh& operator=(const Afresh&) = delete;

  void lose_peer() {
    sim::inject({.kind = sim::FaultKind::nccl_lost_peer, .device = 1, .code = 1});
    y = ops::all_reduce(x);
  }
  void lose_device() {
    y = ops::all_reduce(x);
    sim::inject({.kind = sim::FaultKind::device_lost, .device = 0, .code = cudaErrorECCUncorrectable});
  }
};

}  // namespace

TEST_SUITE("cuda_sim/nccl_told") {
  TEST_CASE("a device is lost beside a sum: who reads the other's part is told, also if the loss was met in passing") {
    for (const char* const met : {"not", "tensor", "tensor of two streams", "event", "profile", "copies of a value"}) {
      CAPTURE(std::string(met));
      const auto by = [&](const char* name) { return std::string(met) == name; };
      Afresh afresh;
      Event event;
      event.record(current_stream(cuda0));
      const Stream second = Stream::create(cuda0);
      std::optional<Profile> profile;
      if (by("profile")) profile.emplace();
      afresh.lose_device();
      if (by("tensor of two streams")) afresh.y[0].storage().record_stream(second);
      if (by("tensor") || by("tensor of two streams")) afresh.y[0] = Tensor();
      if (by("event")) event = Event();
      if (by("profile")) profile->events();
      if (by("copies of a value")) CHECK(nn::first_answering(both) == 1);
      const std::string text = message_of<CommError>([&] { afresh.y[1].to_vector<float>(); });
      CHECK_MESSAGE(has(text, "cuda:0 is lost: CUDA error 214"), text);
      CHECK(has(text, "all_reduce #2 float32[6]"));
      afresh.y[1].to_vector<float>();  // told once
    }
  }

  TEST_CASE("a device is lost beside a sum: who finishes is told, and once") {
    Afresh afresh;
    afresh.lose_device();
    CHECK(has(message_of<CommError>([] { finish_collectives(both); }), "cuda:0 is lost: CUDA error 214"));
    finish_collectives(both);
    CHECK(ones({2}, {.device = cuda1}).to_vector<float>() == std::vector<float>{1, 1});
  }

  TEST_CASE("a sum that never ends is thrown from the trial of a convolution's plans, not taken for one that fails") {
    const Tuned tuned(0.3, 0.1);
    Afresh afresh;
    const TensorOptions there{.device = cuda0};
    const Tensor image = full({2, 3, 190, 4}, 2, there), w = full({2, 3, 1, 1}, 1, there);
    afresh.lose_peer();
    const std::string text = message_of<CommError>([&] { ops::conv2d(image, w, Tensor()); });
    CHECK_MESSAGE(has(text, "not finished on cuda:0, cuda:1"), text);
    CHECK(ops::conv2d(image, w, Tensor()).to_vector<float>()[0] == 6);
  }

  TEST_CASE("memory is not pinned beside a sum that never ends: it is given up") {
    Afresh afresh;
    cuda::PinnedPool pool;
    afresh.lose_peer();
    CHECK(pool.allocate(4096) != nullptr);
    CHECK(deadlocks() == "");
    CHECK_THROWS_AS(afresh.y[0].to_vector<float>(), CommError);
  }

  TEST_CASE("memory is not pinned beside a sum that was launched before there was the lock") {
    Afresh afresh;
    cuda::PinnedPool pool;
    sim::inject({.kind = sim::FaultKind::nccl_lost_peer, .device = 1, .code = 1});
    std::thread other;
    cuda::Cliques::instance().launch({0, 1}, {"all_reduce", "float32[6]", 24},
                                     {current_stream(cuda0), current_stream(cuda1)},
                                     [&](size_t rank, ncclComm_t comm, cudaStream_t stream) {
                                       if (rank == 1) {  // cuda:0's part is on its way
                                         other = std::thread([&] { CHECK_NOTHROW(pool.allocate(4096)); });
                                         std::this_thread::sleep_for(100ms);
                                       }
                                       void* const x = afresh.x[rank].raw();
                                       return ncclAllReduce(x, x, 6, ncclFloat32, ncclSum, comm, stream);
                                     });
    other.join();
    CHECK(deadlocks() == "");
    CHECK_THROWS_AS(synchronize(cuda0), CommError);
  }

  TEST_CASE("who pins memory beside a sum that never ends keeps nobody from copying") {
    Afresh afresh;
    Backend& cuda = backend(DeviceType::cuda);
    afresh.lose_peer();
    void* pinned = nullptr;
    std::thread loader([&] { pinned = cuda.allocate_pinned(7 << 12); });
    std::this_thread::sleep_for(50ms);
    const std::string text = message_of<CommError>([&] { afresh.y[0].to_vector<float>(); });
    CHECK_MESSAGE(has(text, "not finished on cuda:0, cuda:1"), text);
    loader.join();
    CHECK(deadlocks() == "");
    cuda.deallocate_pinned(pinned, 7 << 12);
    empty_cache(cuda0);
  }

  TEST_CASE("pinned memory is not freed beside a sum that never ends, and by the next when that is over") {
    Afresh afresh;
    cuda::PinnedPool pool(0);
    void* const one = pool.allocate(4096);
    void* const two = pool.allocate(8192);
    afresh.lose_peer();
    pool.deallocate(one);
    CHECK(deadlocks() == "");
    CHECK(pool.cached() == 4096);
    CHECK_THROWS_AS(afresh.y[0].to_vector<float>(), CommError);
    pool.deallocate(two);
    CHECK(pool.cached() == 0);
  }

  TEST_CASE("no word for bad labels is made, no cache emptied, no plan forgotten, beside a sum that never ends") {
    Afresh afresh;
    Backend& cuda = backend(DeviceType::cuda);
    cuda.deallocate_pinned(cuda.allocate_pinned(7 << 12), 7 << 12);
    const Stream fresh = Stream::create(cuda0);
    const Tensor image = ones({1, 2, 3, 3}, {.device = cuda0}), w = ones({2, 2, 1, 1}, {.device = cuda0});
    ops::conv2d(image, w, Tensor());
    set_timed_plans(2);  // plans of before are out of date
    set_timed_plans(1);
    afresh.lose_peer();
    SUBCASE("the word") { cuda::arm_error(fresh, "test: a bad label"); }
    SUBCASE("the cache of another device") { empty_cache("cuda:2"); }
    SUBCASE("plans") { ops::conv2d(image, w, Tensor()); }
    CHECK(deadlocks() == "");
    CHECK_THROWS_AS(afresh.y[0].to_vector<float>(), CommError);
    empty_cache(cuda0);
  }

  TEST_CASE("memory is not pinned beside a sum whose abort hangs, and what is pinned stays usable") {
    Afresh afresh;
    cuda::PinnedPool pool;
    void* const pinned = pool.allocate(4096);
    pool.deallocate(pinned);
    set_comm_options({.deadline = 100ms, .abort_deadline = 100ms});
    sim::inject({.kind = sim::FaultKind::nccl_abort, .device = 0, .code = 1});
    afresh.lose_peer();
    for (int i = 0; i < 2; ++i) {
      const std::string text = message_of<CommError>([&] { pool.allocate(8192); });
      CHECK_MESSAGE(has(text, "restart the process"), text);
    }
    CHECK(pool.allocate(4096) == pinned);
    CHECK(deadlocks() == "");
  }

  TEST_CASE("a device is lost beside a sum: who was thrown it is not told of the sum as well") {
    Afresh afresh;
    afresh.lose_device();
    CHECK_THROWS_AS(afresh.y[0].to_vector<float>(), DeviceLost);
    afresh.y[1].to_vector<float>();
  }
}
