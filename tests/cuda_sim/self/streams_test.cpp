// Streams, events and waiting: lazy, adversarial, and with the semantics of hardware.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "../mutants/kernels.h"
#include "sim.h"
#include "support.h"

namespace weft::sim {
namespace {

using mutants::add_one;
using mutants::set;

constexpr int n = 64;

void begin(const Schedule& schedule = {}) {
  set_schedule(schedule);
  reset();
}

// What ran first, of a letter per operation.
std::string order_of_running(const Schedule& schedule) {
  begin(schedule);
  std::string ran;
  for (char letter : std::string("abc")) {
    cudaStream_t stream = make_stream();
    for (int i = 0; i < 2; ++i) (void)enqueue(stream, "note", [&ran, letter] { ran += letter; });
  }
  CHECK(ran.empty());
  run_all();
  CHECK(pending() == 0);
  return ran;
}

TEST_CASE("nothing runs until the host waits, and then by the policy") {
  CHECK(order_of_running({.policy = "fifo"}) == "aabbcc");
  CHECK(order_of_running({.policy = "newest"}) == "ccbbaa");
  CHECK(order_of_running({.policy = "starve:0"}) == "bbccaa");
  CHECK(order_of_running({.policy = "random", .seed = 5}) == order_of_running({.policy = "random", .seed = 5}));
  bool differs = false;
  for (uint64_t seed = 1; seed < 10; ++seed) {
    differs = differs || order_of_running({.policy = "random", .seed = seed}) != order_of_running({.policy = "random"});
  }
  CHECK(differs);
  CHECK(order_of_running({.policy = "pct:2", .seed = 3}).size() == 6);
  CHECK_THROWS_AS(set_schedule({.policy = "eager"}), std::invalid_argument);
  CHECK_THROWS_AS(set_schedule({.policy = "starve:"}), std::invalid_argument);
}

TEST_CASE("waiting runs no more than it must") {
  begin();
  cudaStream_t first = make_stream(), second = make_stream();
  bool ran[2] = {};
  (void)enqueue(first, "one", [&] { ran[0] = true; });
  (void)enqueue(second, "two", [&] { ran[1] = true; });
  CHECK(cudaStreamSynchronize(first) == cudaSuccess);
  CHECK(ran[0]);
  CHECK_FALSE(ran[1]);
  CHECK(pending() == 1);
  run_all();
  CHECK(ran[1]);
}

TEST_CASE("events order streams under every policy; a destroyed event keeps its waits") {
  for (const char* policy : policies) {
    CAPTURE(policy);
    begin({.policy = policy, .seed = first_seed()});
    cudaStream_t a = make_stream(), b = make_stream();
    float *x = make_floats(n), *y = make_floats(n);
    cudaEvent_t event;
    REQUIRE(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
    CHECK(cudaEventQuery(event) == cudaSuccess);
    (void)set(x, n, 1, a);
    (void)cudaEventRecord(event, a);
    (void)cudaStreamWaitEvent(b, event, 0);
    (void)cudaEventRecord(event, b);  // a new record does not move the wait
    (void)cudaEventDestroy(event);
    (void)add_one(x, y, n, b);
    CHECK(fetch(y, n, b) == std::vector<float>(n, 2));
    CHECK(take_reports().empty());
  }
}

TEST_CASE("asking makes progress and says so in the end") {
  begin();
  cudaStream_t stream = make_stream();
  float* x = make_floats(n);
  (void)set(x, n, 1, stream);
  (void)set(x, n, 2, stream);
  int questions = 0;
  while (cudaStreamQuery(stream) == cudaErrorNotReady) ++questions;
  CHECK(questions == 1);
  CHECK(cudaGetLastError() == cudaErrorNotReady);
  CHECK(cudaFree(x) == cudaSuccess);  // the host knows that the work has ended
  CHECK(take_reports().empty());
}

TEST_CASE("times between events, and events that cannot tell") {
  begin();
  cudaStream_t stream = make_stream();
  cudaEvent_t start, end, untimed;
  (void)cudaEventCreate(&start);
  (void)cudaEventCreate(&end);
  (void)cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming);
  for (cudaEvent_t event : {start, end, untimed}) (void)cudaEventRecord(event, stream);
  float milliseconds = -1;
  CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaErrorNotReady);
  (void)cudaEventSynchronize(end);
  CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaSuccess);
  CHECK(milliseconds >= 0);
  CHECK(cudaEventElapsedTime(&milliseconds, start, untimed) == cudaErrorInvalidResourceHandle);
}

TEST_CASE("a stream that is destroyed with work in flight does its work") {
  begin();
  cudaStream_t stream = make_stream();
  bool ran = false;
  (void)enqueue(stream, "work", [&] { ran = true; });
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  CHECK(ran);
  CHECK(take_reports().empty());
}

TEST_CASE("host functions run in order, without device memory, and other threads go on") {
  begin();
  cudaStream_t stream = make_stream();
  std::atomic<int> stage{0};
  (void)enqueue(stream, "before", [&] { stage = 1; });
  const auto meet = [](void* data) {
    auto& seen = *static_cast<std::atomic<int>*>(data);
    if (seen == 1) seen = 2;
    while (seen != 3) std::this_thread::yield();
  };
  (void)cudaLaunchHostFunc(stream, meet, &stage);
  std::thread other([&] {
    while (stage != 2) std::this_thread::yield();
    int device = -1;
    (void)cudaGetDevice(&device);  // would wait for ever if the host function held the simulator
    stage = 3;
  });
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  other.join();
  CHECK(stage == 3);
}

TEST_CASE("pageable memory is read by the call, pinned memory by the copy, and a copy into pageable memory waits") {
  begin();
  cudaStream_t stream = make_stream();
  float* x = make_floats(n);
  std::vector<float> pageable(n, 1);
  (void)cudaMemcpyAsync(x, pageable.data(), n * sizeof(float), cudaMemcpyHostToDevice, stream);
  pageable.assign(n, 2);
  CHECK(fetch(x, n, stream) == std::vector<float>(n, 1));
  void* memory = nullptr;
  REQUIRE(cudaHostAlloc(&memory, n * sizeof(float), cudaHostAllocDefault) == cudaSuccess);
  float* pinned = static_cast<float*>(memory);
  (void)cudaMemcpyAsync(pinned, x, n * sizeof(float), cudaMemcpyDeviceToHost, stream);
  CHECK(pinned[0] != 1);  // a NaN: nothing has run
  (void)cudaStreamSynchronize(stream);
  CHECK(pinned[n - 1] == 1);
  CHECK(take_reports().empty());
}

TEST_CASE("operations that meet other threads wait for them; a meeting nobody comes to is a deadlock") {
  begin({.policy = "newest"});
  cudaStream_t streams[2];
  std::atomic<int> arrived{0};
  bool met[2] = {};
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([&, rank] {
      (void)cudaSetDevice(rank);
      streams[rank] = make_stream();
      ++arrived;
      (void)enqueue_when(
          streams[rank], "all_reduce", [&] { return arrived == 2; }, [&, rank] { met[rank] = true; });
      CHECK(cudaStreamSynchronize(streams[rank]) == cudaSuccess);
    });
  }
  for (std::thread& rank : ranks) rank.join();
  CHECK(met[0]);
  CHECK(met[1]);
  CHECK(take_reports().empty());

  set_deadlock_seconds(0.05);
  cudaStream_t stream = make_stream();
  (void)enqueue_when(
      stream, "lonely", [] { return false; }, [] {});
  CHECK(cudaStreamSynchronize(stream) == cudaErrorUnknown);
  CHECK(contains(take_reports(),
                 "deadlock: cudaStreamSynchronize waits for what no queued operation can bring about; "
                 "blocked: lonely on stream"));
  set_deadlock_seconds(5);
}

TEST_CASE("several threads drive several devices") {
  for (const char* policy : policies) {
    begin({.policy = policy, .seed = first_seed()});
    std::vector<std::thread> workers;
    std::vector<float> results[4];
    for (int device = 0; device < 4; ++device) {
      workers.emplace_back([&results, device] {
        (void)cudaSetDevice(device);
        cudaStream_t stream = make_stream();
        float *x = make_floats(n), *y = make_floats(n);
        (void)set(x, n, static_cast<float>(device), stream);
        for (int i = 0; i < 20; ++i) {
          (void)add_one(x, y, n, stream);
          std::swap(x, y);
        }
        results[device] = fetch(x, n, stream);
      });
    }
    for (std::thread& worker : workers) worker.join();
    for (int device = 0; device < 4; ++device) CHECK(results[device] == std::vector<float>(n, device + 20.0f));
    CHECK(take_reports().empty());
  }
}

}  // namespace
}  // namespace weft::sim
