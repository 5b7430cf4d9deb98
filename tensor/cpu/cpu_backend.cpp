// The CPU's backend: a caching pool, copies by memcpy, streams that run inline.
#include "weft/tensor/cpu/cpu_backend.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "weft/tensor/backend.h"
#include "weft/tensor/error.h"
#include "weft/tensor/small_pool.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(data, bytes) ((void)(data), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(data, bytes) ((void)(data), (void)(bytes))
#endif

namespace weft::cpu {

namespace {

constexpr size_t alignment = 64;
constexpr size_t huge_page = size_t{2} << 20;

// Four sizes per power of two: at most a quarter of a block is unused, and freed blocks fit again.
size_t rounded(size_t bytes) {
  if (bytes <= 1024) return (bytes + alignment - 1) / alignment * alignment;
  const size_t unit = std::bit_ceil(bytes) / 8;
  return (bytes + unit - 1) / unit * unit;
}

// Blocks of one device by rounded size. Sizes recur from step to step, so a flat list of sizes is searched quickly.
class Pool {
 public:
  void* allocate(size_t bytes) {
    const size_t size = rounded(bytes);
    {
      const std::lock_guard lock(mutex_);
      for (Bin& bin : bins_) {
        if (bin.size != size || bin.blocks.empty()) continue;
        void* block = bin.blocks.back();
        bin.blocks.pop_back();
        cached_ -= static_cast<int64_t>(size);
        ASAN_UNPOISON_MEMORY_REGION(block, size);
        return block;
      }
    }
    void* block = from_system(size);
    if (!block) {
      empty();
      block = from_system(size);
    }
    return block;
  }

  void deallocate(void* block, size_t bytes) noexcept {
    const size_t size = rounded(bytes);
    const std::lock_guard lock(mutex_);
    try {
      bin(size).blocks.push_back(block);
      cached_ += static_cast<int64_t>(size);
      ASAN_POISON_MEMORY_REGION(block, size);
    } catch (const std::bad_alloc&) {
      std::free(block);
    }
  }

  void empty() noexcept {
    const std::lock_guard lock(mutex_);
    for (Bin& bin : bins_) {
      for (void* block : bin.blocks) {
        ASAN_UNPOISON_MEMORY_REGION(block, bin.size);
        std::free(block);
      }
      bin.blocks.clear();
    }
    cached_ = 0;
  }

  int64_t cached() {
    const std::lock_guard lock(mutex_);
    return cached_;
  }

 private:
  struct Bin {
    size_t size;
    std::vector<void*> blocks;
  };
  Bin& bin(size_t size) {
    for (Bin& b : bins_)
      if (b.size == size) return b;
    return bins_.emplace_back(Bin{size, {}});
  }
  static void* from_system(size_t size) {
    if (size < huge_page) return std::aligned_alloc(alignment, size);
    void* block = std::aligned_alloc(huge_page, (size + huge_page - 1) / huge_page * huge_page);
    if (block) madvise(block, size, MADV_HUGEPAGE);  // fewer page faults on first touch; a hint that may be refused
    return block;
  }

  std::mutex mutex_;
  std::vector<Bin> bins_;
  int64_t cached_ = 0;
};

struct CpuEvent {
  std::chrono::steady_clock::time_point time;
};

class CpuBackend final : public Backend {
 public:
  int device_count() const noexcept override { return max_cpu_devices; }
  std::string why_unavailable() const override { return ""; }

  void* allocate(size_t bytes, Stream stream) override {
    // Small blocks skip the pool's lock; alignment comes from the size class.
    if (bytes <= small_limit) return detail::small_allocate(bytes);
    void* block = bytes <= largest ? pools_[static_cast<size_t>(stream.device.index)].allocate(bytes) : nullptr;
    if (!block) out_of_memory(bytes, stream.device);
    return block;
  }
  void deallocate(void* data, size_t bytes, Stream stream) noexcept override {
    if (bytes <= small_limit)
      detail::small_deallocate(data, bytes);
    else
      pools_[static_cast<size_t>(stream.device.index)].deallocate(data, bytes);
  }
  void* allocate_pinned(size_t bytes) override { return allocate(bytes, {}); }
  void deallocate_pinned(void* data, size_t bytes) noexcept override { deallocate(data, bytes, {}); }
  void empty_cache(int index) override { pools_[static_cast<size_t>(index)].empty(); }
  MemoryStats memory(int index) const override {
    MemoryStats stats;
    stats.cached = pools_[static_cast<size_t>(index)].cached();
    stats.total = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
    return stats;
  }

  void copy(void* destination, Device, const void* source, Device, size_t bytes, Stream) override {
    std::memcpy(destination, source, bytes);
  }

  bool is_page_locked(const void*, int) const override { return false; }

  uint64_t create_stream(int) override { return next_stream_.fetch_add(1); }
  void synchronize(Stream) override {}
  void synchronize_device(int) override {}

  void* create_event(int, bool) override { return new CpuEvent; }
  void destroy_event(void* event, int) noexcept override { delete static_cast<CpuEvent*>(event); }
  void record(void* event, Stream) override { static_cast<CpuEvent*>(event)->time = std::chrono::steady_clock::now(); }
  void wait(Stream, void*) override {}
  bool query(void*, int) override { return true; }
  void synchronize_event(void*, int) override {}
  double elapsed_ms(void* start, void* end, int) override {
    return std::chrono::duration<double, std::milli>(static_cast<CpuEvent*>(end)->time -
                                                     static_cast<CpuEvent*>(start)->time)
        .count();
  }

 private:
  static constexpr size_t small_limit = 256;
  static constexpr size_t largest = size_t{1} << 46;

  [[noreturn]] void out_of_memory(size_t bytes, Device device) const {
    const auto mib = [](int64_t n) { return n / (1 << 20); };
    const MemoryStats stats = memory_stats_of(device);
    fail<OutOfMemory>(device, " is out of memory: asked ", mib(static_cast<int64_t>(bytes)), " MiB; ",
                      mib(stats.cached), " MiB cached by the pool, ", mib(stats.total),
                      " MiB in the machine; reduce the batch or call empty_cache()");
  }
  MemoryStats memory_stats_of(Device device) const { return memory(device.index); }

  mutable std::array<Pool, max_cpu_devices> pools_;
  std::atomic<uint64_t> next_stream_{1};
};

}  // namespace

void register_backend() {
  // Never destroyed: tensors with static storage duration give their memory back after static destructors began.
  static auto& instance = *new CpuBackend;
  weft::detail::register_backend(DeviceType::cpu, &instance);
}

}  // namespace weft::cpu
