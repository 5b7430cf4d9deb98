// Storages and the memory pool: statistics add up, blocks are reused, live blocks never overlap.
#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"
#include "weft/tensor/memory_peak.h"
#include "weft/tensor/ops/matmul.h"
#include "weft/tensor/storage.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("storage: statistics follow allocations and releases") {
  for (const Device device : devices_to_test()) {
    const MemoryStats before = memory_stats(device);
    {
      const Ref<Storage> a = allocate_storage(1000, current_stream(device));
      const Ref<Storage> b = allocate_storage(1 << 20, current_stream(device));
      const Ref<Storage> same = a;
      const MemoryStats now = memory_stats(device);
      CHECK(now.in_use - before.in_use == 1000 + (1 << 20));
      CHECK(now.live_storages - before.live_storages == 2);
      CHECK(now.allocations - before.allocations == 2);
      CHECK(now.peak >= now.in_use);
      CHECK(a->bytes() == 1000);
      CHECK(a->device() == device);
      CHECK(a->stream() == current_stream(device));
      CHECK(!a->pinned());
      CHECK(a->version() == 0);
      CHECK(std::string(a->last_writer()).empty());
    }
    const MemoryStats after = memory_stats(device);
    CHECK(after.in_use == before.in_use);
    CHECK(after.live_storages == before.live_storages);
    CHECK(after.peak >= before.in_use + 1000 + (1 << 20));
  }
  CHECK(to_string(MemoryStats{.in_use = 3 << 20, .peak = 5 << 20, .cached = 1 << 19, .live_storages = 7}) ==
        "3.0 MiB in use by 7 tensors (peak 5.0), 0.5 cached");
}

TEST_CASE("storage: a peak begins anew at what is in use, and counts what libraries take for a call") {
  for (const Device device : devices_to_test()) {
    const Tensor a = ones({8, 8}, {.device = device}), b = ops::matmul(a, a);
    { const Ref<Storage> large = allocate_storage(1 << 20, current_stream(device)); }
    const MemoryStats before = memory_stats(device);
    CHECK(before.peak >= before.in_use + (1 << 20));
    reset_peak(device);
    CHECK(memory_stats(device).peak == before.in_use);
    const Tensor c = ops::matmul(a, b);
    const int64_t workspace = device.is_cpu() ? 0 : 64 << 10;  // of cuBLAS
    CHECK(memory_stats(device).in_use == before.in_use + 256);
    CHECK(memory_stats(device).peak >= before.in_use + std::max<int64_t>(256, workspace));
  }
}

TEST_CASE("storage: zero bytes are allowed") {
  for (const Device device : devices_to_test()) {
    const Ref<Storage> nothing = allocate_storage(0, current_stream(device));
    CHECK(nothing->bytes() == 0);
    CHECK(zeros({0, 3}, {.device = device}).to_vector<float>().empty());
  }
}

TEST_CASE("storage: a released block serves the next request of its size") {
  const Stream stream = current_stream("cpu:11");  // a device that no other test uses
  const void* first = nullptr;
  { first = allocate_storage(100'000, stream)->data(); }
  const MemoryStats idle = memory_stats("cpu:11");
  CHECK(idle.cached >= 100'000);
  CHECK(idle.total > 0);
  {
    const Ref<Storage> again = allocate_storage(99'990, stream);
    CHECK(again->data() == first);
    CHECK(memory_stats("cpu:11").cached < idle.cached);
    const Ref<Storage> more = allocate_storage(100'000, stream);
    CHECK(more->data() != first);
  }
  { CHECK(allocate_storage(100'000, current_stream("cpu:12"))->data() != first); }  // a pool per device
  empty_cache("cpu:11");
  CHECK(memory_stats("cpu:11").cached == 0);
  empty_cache("cpu:11");
  empty_cache("cpu:12");
  const Ref<Storage> fresh = allocate_storage(100'000, stream);
  std::memset(fresh->data(), 1, fresh->bytes());
}

TEST_CASE("storage: alignment") {
  for (const size_t bytes : {size_t{1}, size_t{16}, size_t{64}, size_t{255}, size_t{256}}) {
    std::vector<Ref<Storage>> held;
    for (int i = 0; i < 20; ++i) held.push_back(allocate_storage(bytes, current_stream("cpu")));
    for (const auto& s : held) CHECK(reinterpret_cast<uintptr_t>(s->data()) % 16 == 0);
  }
  for (const size_t bytes : {size_t{257}, size_t{1000}, size_t{4097}, size_t{3} << 20}) {
    const Ref<Storage> s = allocate_storage(bytes, current_stream("cpu"));
    CHECK(reinterpret_cast<uintptr_t>(s->data()) % 64 == 0);
  }
  if (!cuda_or_skip()) return;
  for (const size_t bytes : {size_t{1}, size_t{1000}})
    CHECK(reinterpret_cast<uintptr_t>(allocate_storage(bytes, current_stream("cuda:0"))->data()) % 256 == 0);
}

namespace {

// Each live block holds a pattern of its own over all its bytes; a block handed out twice loses it.
struct Held {
  Ref<Storage> storage;
  unsigned char pattern;
};

int damaged(const Held& held) {
  const auto* data = static_cast<const unsigned char*>(held.storage->data());
  int bad = 0;
  for (const size_t i : {size_t{0}, held.storage->bytes() / 2, held.storage->bytes() - 1})
    bad += data[i] != held.pattern;
  return bad;
}

// Some are handed over to other threads, which release them.
struct Exchange {
  std::mutex mutex;
  std::vector<Held> held;
};

int allocate_at_random(uint64_t seed, int rounds, Exchange& exchange) {
  Dice dice(seed);
  std::vector<Held> mine;
  int bad = 0;
  auto drop = [&](std::vector<Held>& from) {
    std::swap(from[static_cast<size_t>(dice.integer(0, static_cast<int64_t>(from.size()) - 1))], from.back());
    bad += damaged(from.back());
    from.pop_back();
  };
  for (int i = 0; i < rounds; ++i) {
    const auto bytes = static_cast<size_t>(dice.integer(1, int64_t{1} << dice.integer(3, 15)));
    Held held{allocate_storage(bytes, current_stream(Device(DeviceType::cpu, static_cast<int>(dice.integer(0, 3))))),
              static_cast<unsigned char>(dice.integer(1, 255))};
    std::memset(held.storage->data(), held.pattern, bytes);
    if (dice.integer(0, 9) == 0) {
      const std::lock_guard lock(exchange.mutex);
      exchange.held.push_back(std::move(held));
      if (exchange.held.size() > 30) drop(exchange.held);
    } else {
      mine.push_back(std::move(held));
      if (mine.size() > 60) drop(mine);
    }
  }
  for (const Held& held : mine) bad += damaged(held);
  return bad;
}

int64_t total_in_use() {
  int64_t bytes = 0;
  for (int i = 0; i < 4; ++i) bytes += memory_stats({DeviceType::cpu, i}).in_use;
  return bytes;
}

}  // namespace

TEST_CASE("storage: 100,000 random allocations from four threads never overlap, and the statistics add up") {
  const uint64_t seed = seed_for("random allocations");
  CAPTURE(test_seed());
  const int64_t before = total_in_use();
  std::atomic<int> bad{0};
  {
    Exchange exchange;
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 4; ++t)
      threads.emplace_back([&, t] { bad += allocate_at_random(seed + t, 25'000, exchange); });
    for (std::thread& thread : threads) thread.join();
    int64_t bytes = 0;
    for (const Held& held : exchange.held) {
      bytes += static_cast<int64_t>(held.storage->bytes());
      bad += damaged(held);
    }
    CHECK(total_in_use() - before == bytes);
  }
  CHECK(bad == 0);
  CHECK(total_in_use() == before);
}

TEST_CASE("storage: more than any machine has is an error, and nothing is lost") {
  for (const Device device : devices_to_test()) {
    const MemoryStats before = memory_stats(device);
    CHECK(throws<OutOfMemory>(
              detail::concat(device, " is out of memory: asked …; reduce the batch or call empty_cache()"),
              [&] { allocate_storage(size_t{1} << 50, current_stream(device)); }) == "");
    CHECK(memory_stats(device).in_use == before.in_use);
    CHECK(memory_stats(device).live_storages == before.live_storages);
    CHECK_NOTHROW(allocate_storage(1 << 16, current_stream(device)));
  }
  CHECK(throws<OutOfMemory>("cpu:0 is out of memory: asked …", [] { empty({int64_t{1} << 48}); }) == "");
  CHECK(throws<ShapeError>("empty: …2^62 bytes", [] { empty({int64_t{1} << 61}, {.dtype = DType::f64}); }) == "");
}

TEST_CASE("storage: versions count in-place changes and name the last writer") {
  const Ref<Storage> s = allocate_storage(64, current_stream("cpu"));
  s->bump_version("add_");
  s->bump_version("mul_");
  CHECK(s->version() == 2);
  CHECK(std::string(s->last_writer()) == "mul_");
}

TEST_CASE("storage: adopted memory runs its deleter once, when the last tensor goes") {
  float memory[6] = {1, 2, 3, 4, 5, 6};
  int calls = 0;
  void* released = nullptr;
  {
    Tensor x = from_blob(memory, {2, 3}, {.deleter = [&](void* data) { ++calls, released = data; }});
    const Tensor copy = x;
    x = Tensor();
    CHECK(calls == 0);
    CHECK(copy.to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  }
  CHECK(calls == 1);
  CHECK(released == memory);
  {
    from_blob(memory, {0, 3}, {.deleter = [&](void*) { ++calls; }});
  }  // no elements, but memory to give back all the same
  CHECK(calls == 2);
}

TEST_CASE("storage: pinned host memory") {
  const Tensor x = full({3}, 2, {.pinned = true});
  CHECK(x.device() == Device("cpu:0"));
  CHECK(x.to_vector<float>() == std::vector<float>{2, 2, 2});
  CHECK(x.storage().pinned() == (device_count(DeviceType::cuda) > 0));
}

TEST_CASE("storage: memory used on a second stream is not reused early") {
  if (!cuda_or_skip()) return;
  const Device device("cuda:0");
  const Stream other = Stream::create(device);
  for (int i = 0; i < 5; ++i) {
    const Tensor x = full({64}, i, {.device = device});
    Event ready;
    ready.record(current_stream(device));
    other.wait(ready);
    Tensor y;
    {
      const StreamGuard on(other);
      y = x.clone();
    }
    x.storage().record_stream(other);
    CHECK(y.storage().stream() == other);
    Event done;
    done.record(other);
    current_stream(device).wait(done);
    CHECK(y.to_vector<float>() == std::vector<float>(64, static_cast<float>(i)));
    y.storage().record_stream(current_stream(device));
  }
}
