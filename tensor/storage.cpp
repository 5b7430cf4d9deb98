#include "weft/tensor/storage.h"

#include <array>
#include <cstdio>
#include <mutex>
#include <new>
#include <vector>

#include "weft/tensor/error.h"
#include "weft/tensor/memory_peak.h"
#include "weft/tensor/profile_scope.h"
#include "weft/tensor/small_pool.h"
#include "weft/tensor/untold.h"

namespace weft {

struct Storage::Extra {
  std::function<void(void*)> deleter;
  std::vector<Stream> streams;
};

namespace {

struct Counters {
  std::atomic<int64_t> in_use{0}, peak{0}, allocations{0}, live{0};

  int64_t change(int64_t bytes) noexcept {
    const int64_t now = in_use.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    int64_t seen = peak.load(std::memory_order_relaxed);
    while (now > seen && !peak.compare_exchange_weak(seen, now, std::memory_order_relaxed)) {
    }
    return now;
  }
  int64_t add(int64_t bytes) noexcept {
    const int64_t now = change(bytes);
    allocations.fetch_add(1, std::memory_order_relaxed);
    live.fetch_add(1, std::memory_order_relaxed);
    return now;
  }
  int64_t remove(int64_t bytes) noexcept {
    live.fetch_sub(1, std::memory_order_relaxed);
    return in_use.fetch_sub(bytes, std::memory_order_relaxed) - bytes;
  }
};

// One cache line each, so that two devices' workers do not slow each other down.
struct alignas(64) PaddedCounters : Counters {};
constinit std::array<std::array<PaddedCounters, max_cpu_devices>, device_types> counters = {};

Counters& counters_of(Device device) {
  return counters[static_cast<size_t>(device.type)][static_cast<size_t>(device.index) % max_cpu_devices];
}

void count(Stream stream, int64_t bytes) noexcept {
  const int64_t in_use = counters_of(stream.device).add(bytes);
  if (bytes > 0 && detail::profiling.load(std::memory_order_relaxed)) [[unlikely]]
    detail::profile_memory(stream, bytes, in_use);
}
void uncount(Stream stream, int64_t bytes) noexcept {
  const int64_t in_use = counters_of(stream.device).remove(bytes);
  if (bytes > 0 && detail::profiling.load(std::memory_order_relaxed)) [[unlikely]]
    detail::profile_memory(stream, -bytes, in_use);
}

}  // namespace

void Storage::record_stream(Stream stream) {
  if (stream == stream_ || stream.device.is_cpu()) return;
  static constinit std::mutex mutex;  // several threads may hand the same memory on
  const std::lock_guard lock(mutex);
  if (!extra_) extra_ = new Extra;
  for (const Stream& known : extra_->streams)
    if (known == stream) return;
  extra_->streams.push_back(stream);
}

void release(Storage* storage) noexcept {
  uncount(storage->stream_, static_cast<int64_t>(storage->bytes_));
  Storage::Extra* extra = storage->extra_;
  try {
    // Work that other streams still do on the memory comes before its reuse on its own stream.
    if (extra) {
      const detail::UntoldScope untold;
      for (const Stream& stream : extra->streams) {
        Event done;
        done.record(stream);
        storage->stream_.wait(done);
      }
      if (extra->deleter) extra->deleter(storage->data_);
    }
    if (storage->bytes_ > 0) {
      if (storage->kind_ == Storage::Kind::pooled)
        backend(storage->device().type).deallocate(storage->data_, storage->bytes_, storage->stream_);
      else if (storage->kind_ == Storage::Kind::pinned)
        backend(DeviceType::cuda).deallocate_pinned(storage->data_, storage->bytes_);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "weft: releasing memory of %s failed: %s\n", to_string(storage->device()).c_str(),
                 error.what());
  }
  delete extra;
  storage->~Storage();
  detail::small_deallocate(storage, sizeof(Storage));
}

Ref<Storage> allocate_storage(size_t bytes, Stream stream, bool pinned) {
  void* data = nullptr;
  const bool page_locked = pinned && stream.device.is_cpu() && device_count(DeviceType::cuda) > 0;
  if (bytes > 0)
    data = page_locked ? backend(DeviceType::cuda).allocate_pinned(bytes)
                       : backend(stream.device.type).allocate(bytes, stream);
  auto* storage = new (detail::small_allocate(sizeof(Storage))) Storage;
  storage->data_ = data;
  storage->bytes_ = bytes;
  storage->stream_ = stream;
  storage->kind_ = page_locked ? Storage::Kind::pinned : Storage::Kind::pooled;
  count(stream, static_cast<int64_t>(bytes));
  return Ref<Storage>(storage);
}

Ref<Storage> adopt_storage(void* data, size_t bytes, Device device, std::function<void(void*)> deleter) {
  auto* storage = new (detail::small_allocate(sizeof(Storage))) Storage;
  storage->data_ = data;
  storage->bytes_ = bytes;
  storage->stream_ = current_stream(device);
  storage->kind_ = Storage::Kind::adopted;
  count(storage->stream_, static_cast<int64_t>(bytes));
  Ref<Storage> owner(storage);
  if (deleter) storage->extra_ = new Storage::Extra{std::move(deleter), {}};
  return owner;
}

MemoryStats memory_stats(Device device) {
  MemoryStats stats;
  if (device.is_cpu() || device_count(device.type) > 0) stats = backend(device.type).memory(device.index);
  const Counters& c = counters_of(device);
  stats.in_use = c.in_use.load(std::memory_order_relaxed);
  stats.peak = c.peak.load(std::memory_order_relaxed);
  stats.allocations = c.allocations.load(std::memory_order_relaxed);
  stats.live_storages = c.live.load(std::memory_order_relaxed);
  return stats;
}

void reset_peak(Device device) {
  Counters& c = counters_of(device);
  c.peak.store(c.in_use.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

void count_workspace(Device device, int64_t bytes) noexcept { counters_of(device).change(bytes); }

std::string to_string(const MemoryStats& stats) {
  const auto mib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  char text[160];
  std::snprintf(text, sizeof text, "%.1f MiB in use by %lld tensors (peak %.1f), %.1f cached", mib(stats.in_use),
                static_cast<long long>(stats.live_storages), mib(stats.peak), mib(stats.cached));
  return text;
}

void empty_cache(Device device) { backend(device.type).empty_cache(device.index); }

}  // namespace weft
