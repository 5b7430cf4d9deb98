// The CUDA backend on simulated devices: memory that ends, launches that fail, devices that are lost, bad labels,
// streams.
#include "tests/cuda_sim/message.h"
#include "weft/cuda/check.h"
#include "weft/cuda/context.h"
#include "weft/cuda/grid.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "sim.h"
#include "weft/tensor/backend.h"
#include "weft/weft.h"

using namespace weft;
using test::has;
using test::message_of;

namespace {

/// A process that starts afresh, before and after.
struct Afresh {
  Afresh() { restart(); }
  ~Afresh() {
    sim::set_peer_access(true);
    for (int i = 0; i < sim::max_devices; ++i) sim::set_memory_limit(i, size_t{256} << 20);
    restart();
  }
  // Page-locked memory outlives the devices in the backend, so it goes first, once all that used it has run.
  static void restart() {
    for (int i = 0; i < device_count(DeviceType::cuda); ++i) {
      try {
        synchronize({DeviceType::cuda, i});
      } catch (const Error&) {
        // It is lost, or has an error to tell.
      }
    }
    try {
      backend(DeviceType::cuda).empty_cache(0);
    } catch (const Error&) {
      // Likewise; pages are unlocked first.
    }
    sim::reset();
    cuda::forget_devices();
  }
};

const Device first("cuda:0"), second("cuda:1");

void lose(Device device) {
  sim::inject({.kind = sim::FaultKind::device_lost, .device = device.index, .code = cudaErrorIllegalAddress});
  CHECK_THROWS_AS(synchronize(device), DeviceLost);
  sim::clear_faults();
}

Tensor on(Device device, std::vector<float> values) {
  const auto n = static_cast<int64_t>(values.size());
  return tensor(values, {n}, device);
}

}  // namespace

TEST_CASE("backend: as many devices as there are, and why there are none") {
  const Afresh afresh;
  CHECK(device_count(DeviceType::cuda) == sim::device_count());
  CHECK(why_unavailable(DeviceType::cuda) == "");
  CHECK(has(message_of<DeviceError>([] { zeros({2}, {.device = "cuda:9"}); }), "device cuda:9 does not exist; "));
  const int count = sim::device_count();
  sim::set_device_count(0);
  cuda::forget_devices();
  CHECK(device_count(DeviceType::cuda) == 0);
  CHECK(has(why_unavailable(DeviceType::cuda), "cuda is not available: no CUDA driver ("));
  CHECK(available_devices()[0] == Device("cpu:0"));
  sim::set_device_count(count);
  cuda::forget_devices();
  CHECK(device_count(DeviceType::cuda) == count);
}

TEST_CASE("backend: out of memory says what was asked and what there is, and a smaller request works") {
  const Afresh afresh;
  sim::set_memory_limit(1, size_t{4} << 20);
  {
    const Tensor held = ones({1 << 18}, {.device = second});  // 1 MiB
    const std::string text = message_of<OutOfMemory>([] { ones({1 << 21}, {.device = second}); });
    CHECK(has(text, "cuda:1 is out of memory: asked 8.0 MiB; 1.0 of "));
    CHECK(has(text, " in use by tensors, "));
    CHECK(has(text, "; reduce the batch or call empty_cache()"));
    CHECK(ones({1 << 18}, {.device = second}).sum().item<float>() == 1 << 18);
    CHECK(held.sum().item<float>() == 1 << 18);
  }
  // What is cached is given back before an allocation fails: 3 MiB in two sizes that the pool cannot join.
  { const Tensor a = ones({1 << 18}, {.device = second}), b = ones({1 << 19}, {.device = second}); }
  CHECK(ones({(1 << 20) - (1 << 16)}, {.device = second}).numel() > 0);
}

TEST_CASE("backend: statistics add up and the cache empties") {
  const Afresh afresh;
  empty_cache(first);  // of a device that nobody used: nothing happens
  const int64_t before = memory_stats(first).in_use;
  Tensor x = ones({1 << 16}, {.device = first});
  CHECK(memory_stats(first).in_use - before == int64_t{4} << 16);
  x = Tensor();
  synchronize(first);
  CHECK(memory_stats(first).in_use == before);
  CHECK(memory_stats(first).cached > 0);
  empty_cache(first);
  CHECK(memory_stats(first).cached == 0);
}

TEST_CASE("backend: a failed launch is an error at once, and the device goes on") {
  const Afresh afresh;
  const Tensor x = on(first, {1, 2, 3});
  sim::inject({.kind = sim::FaultKind::launch, .device = 0, .code = cudaErrorInvalidConfiguration});
  CHECK(has(message_of<Error>([&] { exp(x); }), "unary: CUDA error 9 ("));
  CHECK(sim::fired(sim::FaultKind::launch) == 1);
  CHECK((x + x).to_vector<float>() == std::vector<float>{2, 4, 6});
}

TEST_CASE("backend: a lost device names its last operations, and the others can still be read") {
  const Afresh afresh;
  const Tensor x = on(first, {1, 2, 3}), other = on(second, {4, 5});
  const Tensor y = x + x;
  sim::inject({.kind = sim::FaultKind::device_lost, .device = 0, .code = cudaErrorIllegalAddress});
  const std::string text = message_of<DeviceLost>([&] { y.to_vector<float>(); });
  CHECK(has(text, "cuda:0 is lost: CUDA error 700 ("));
  CHECK(has(text, "newest first: "));
  CHECK(has(text, "binary"));
  CHECK(message_of<DeviceLost>([&] { y.to_vector<float>(); }) != "nothing was thrown");
  CHECK(other.to_vector<float>() == std::vector<float>{4, 5});
}

TEST_CASE("backend: a lost device that cannot be made the current one is the one that errors name") {
  const Afresh afresh;
  const Tensor x = on(first, {1}), y = on(second, {2});
  lose(first);
  CHECK(cudaSetDevice(1) == cudaSuccess);
  for (const bool within : {false, true}) {
    std::optional<cuda::DeviceScope> outer;
    if (within) outer.emplace(1);
    const std::string text = message_of<DeviceLost>([] { const cuda::DeviceScope scope(0); });
    CHECK_MESSAGE(has(text, "cuda:0 is lost: CUDA error 700 ("), text);
    CHECK(cuda::active_device() == (within ? 1 : -1));
    int device = -1;
    CHECK(cudaGetDevice(&device) == cudaSuccess);
    CHECK(device == 1);
  }
  CHECK(cuda::was_told_lost(0));
  CHECK(!cuda::was_told_lost(1));
  // A thread begins with cuda:0, to which every scope returns.
  std::string text;
  std::vector<float> sum;
  std::thread([&] { text = message_of<Error>([&] { sum = (y + y).to_vector<float>(); }); }).join();
  CHECK_MESSAGE(text == "nothing was thrown", text);
  CHECK(sum == std::vector<float>{4});
  CHECK(cudaSetDevice(0) == cudaErrorIllegalAddress);
}

TEST_CASE("backend: pinned memory goes on without a lost device, in blocks that it used too") {
  const Afresh afresh;
  Backend& cuda = backend(DeviceType::cuda);
  constexpr size_t bytes = 4096;
  void* const device = cuda.allocate(bytes, {first, 0});
  void* const before = cuda.allocate_pinned(bytes);
  void* const after = cuda.allocate_pinned(bytes);
  std::memset(before, 1, bytes);
  std::memset(after, 1, bytes);
  cuda.copy(device, first, before, "cpu", bytes, {first, 0});
  cuda.copy(device, first, after, "cpu", bytes, {first, 0});
  cuda.deallocate_pinned(before, bytes);
  lose(first);
  cuda.deallocate_pinned(after, bytes);
  std::set<void*> again;
  std::string text;
  std::thread([&] {  // its current device is the lost one
    text = message_of<Error>([&] {
      for (int i = 0; i < 3; ++i) again.insert(cuda.allocate_pinned(bytes));
    });
    for (void* const block : again) cuda.deallocate_pinned(block, bytes);
  })
      .join();
  CHECK_MESSAGE(text == "nothing was thrown", text);
  CHECK(again.size() == 3);
  CHECK(again.count(before) + again.count(after) == 2);
  cuda.deallocate(device, bytes, {first, 0});
  cuda.empty_cache(1);
  CHECK(sim::take_reports().empty());
}

TEST_CASE("backend: a bad label is thrown at the next synchronisation, once") {
  const Afresh afresh;
  const Tensor logits = zeros({3, 4}, {.device = first});
  const auto loss_of = [&](std::vector<int64_t> labels) {
    const auto n = static_cast<int64_t>(labels.size());
    return cross_entropy(logits, tensor(labels, {n}, first));
  };
  const Tensor bad = loss_of({1, 4, -7});
  const std::string text = message_of<IndexError>([&] { bad.item<float>(); });
  CHECK(has(text, "cross_entropy: a label "));
  CHECK(has(text, "(first at flat position 1)"));
  CHECK(bad.item<float>() != bad.item<float>());  // NaN, and no further error
  CHECK(loss_of({1, 2, 3}).item<float>() == doctest::Approx(1.3862944));
  loss_of({0, 0, 9});
  CHECK(has(message_of<IndexError>([&] { synchronize(first); }), "(first at flat position 2)"));
  synchronize(first);
}

TEST_CASE("backend: a bad label is not lost to who synchronises before its kernel is launched") {
  const Afresh afresh;
  Backend& cuda = backend(DeviceType::cuda);
  const Stream shared{first, 0};  // of two ranks on one device
  const cuda::ErrorMark mark = cuda::arm_error(shared, "test: a bad label");
  std::thread([&] { cuda.synchronize(shared); }).join();
  const uint64_t error = mark.tag | 17;  // as mark_error() leaves it
  cuda.copy(mark.word, first, &error, "cpu", sizeof error, shared);
  CHECK(message_of<IndexError>([&] { cuda.synchronize(shared); }) == "test: a bad label (first at flat position 17)");
  cuda.synchronize(shared);
}

TEST_CASE("backend: pinned memory is not handed out again before the copies that read it") {
  const Afresh afresh;
  Backend& cuda = backend(DeviceType::cuda);
  const Stream stream{first, 0};
  constexpr size_t bytes = 4096;
  void* device = cuda.allocate(bytes, stream);
  void* pinned = cuda.allocate_pinned(bytes);
  std::memset(pinned, 1, bytes);
  cuda.copy(device, first, static_cast<char*>(pinned) + 100, "cpu", 8, stream);
  cuda.deallocate_pinned(pinned, bytes);
  void* another = cuda.allocate_pinned(bytes);
  CHECK(another != pinned);
  cuda.synchronize(stream);
  void* again = cuda.allocate_pinned(bytes);
  CHECK(again == pinned);
  cuda.deallocate_pinned(again, bytes);
  cuda.deallocate_pinned(another, bytes);
  cuda.deallocate(device, bytes, stream);
  cuda.empty_cache(0);
  cuda.synchronize(stream);
}

TEST_CASE("backend: a blocking copy from page-locked memory has run when it returns, whoever locked its pages") {
  const Afresh afresh;
  const Tensor weft_own = full({4}, 1, {.device = "cpu", .pinned = true});
  float* foreign = nullptr;
  REQUIRE(cudaMallocHost(reinterpret_cast<void**>(&foreign), 4 * sizeof(float)) == cudaSuccess);
  std::vector<float> registered(4);
  REQUIRE(cudaHostRegister(registered.data(), 4 * sizeof(float), cudaHostRegisterDefault) == cudaSuccess);
  std::vector<float> pageable(4);
  for (float* const staging : {weft_own.data<float>(), foreign, registered.data(), pageable.data()})
    for (const bool non_blocking : {false, true}) {
      std::fill_n(staging, 4, 1.0f);
      const Tensor blob = from_blob(staging, {4});
      const Tensor x =
          blob.to(first, {.non_blocking = non_blocking});  // no pool knows of the blob: blocking all the same
      std::fill_n(staging, 4, 2.0f);
      CHECK(x.to_vector<float>() == std::vector<float>(4, 1));
    }
  CHECK(cudaHostUnregister(registered.data()) == cudaSuccess);
  CHECK(cudaFreeHost(foreign) == cudaSuccess);
  CHECK(sim::take_reports().empty());
}

TEST_CASE("backend: copies between devices, with and without peer access") {
  for (const bool peers : {true, false}) {
    const Afresh afresh;
    sim::set_peer_access(peers);
    const Tensor x = on(first, {1, 2, 3, 4});
    CHECK(x.to(second).to(first).to_vector<float>() == std::vector<float>{1, 2, 3, 4});
  }
}

TEST_CASE("backend: streams wait for each other under every policy") {
  for (const char* policy : {"fifo", "newest", "random", "starve:0", "pct:3"}) {
    const Afresh afresh;
    sim::set_schedule({.policy = policy, .seed = 7});
    const Stream side = Stream::create(first);
    Tensor x = on(first, {1, 2, 3});
    Event ready, done;
    ready.record(current_stream(first));
    Tensor y;
    {
      const StreamGuard guard(side);
      side.wait(ready);
      y = x * x;
      done.record(side);
    }
    current_stream(first).wait(done);
    CHECK((y + x).to_vector<float>() == std::vector<float>{2, 6, 12});
    done.synchronize();
    CHECK(done.query());
    synchronize();
  }
  sim::set_schedule({});
}

TEST_CASE("backend: what leaves a scope, an event or a stream behind") {
  const Afresh afresh;
  CHECK(cudaSetDevice(2) == cudaSuccess);
  {
    const cuda::DeviceScope outer(0);
    const cuda::DeviceScope inner(1);
    CHECK(cuda::active_device() == 1);
  }
  int device = -1;
  CHECK(cudaGetDevice(&device) == cudaSuccess);
  CHECK(device == 2);
  CHECK(cuda::active_device() == -1);
  CHECK(has(message_of<DeviceError>([] { Stream{first, 77}.synchronize(); }), "stream 77 of cuda:0 does not exist"));
  Event start, end;
  start.record(current_stream(first), true);
  end.record(current_stream(first), true);
  end.synchronize();
  CHECK(end.elapsed_ms(start) >= 0);
  CHECK(cudaSetDevice(0) == cudaSuccess);
}

TEST_CASE("backend: grids that no device takes are refused by name") {
  const auto refusal = [](const cuda::Grid& grid) {
    return message_of<Error>([&] { cuda::check_grid("softmax", grid); });
  };
  CHECK(has(refusal({.blocks = 0}), "softmax: a grid of 0 blocks"));
  CHECK(has(refusal({.blocks = cuda::max_blocks + 1}), "softmax: a grid of 2147483648 blocks"));
  CHECK(has(refusal({.threads = 2048}), "softmax: blocks of 2048 threads"));
  CHECK(has(refusal({.threads = 48}), "softmax: blocks of 48 threads"));
  CHECK(has(refusal({.shared_bytes = 1 << 20}), "softmax: 1048576 bytes of shared memory"));
  CHECK_NOTHROW(cuda::check_grid("softmax", {.blocks = cuda::max_blocks, .threads = 1024, .shared_bytes = 49152}));
}
