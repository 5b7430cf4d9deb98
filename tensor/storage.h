// Storage: a counted block of memory on one device, with the version that in-place operations advance.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "weft/tensor/backend.h"
#include "weft/tensor/ref.h"

namespace weft {

class Storage : public RefCounted {
 public:
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return stream_.device; }
  /// The stream the memory was allocated on; it returns to the pool in that stream's order.
  Stream stream() const { return stream_; }
  bool pinned() const { return kind_ == Kind::pinned; }

  /// Number of in-place changes so far; shared by all views.
  uint32_t version() const { return version_.load(std::memory_order_acquire); }
  /// The operation that made the last change, "" if none.
  const char* last_writer() const { return writer_.load(std::memory_order_relaxed); }
  void bump_version(const char* writer) {
    writer_.store(writer, std::memory_order_relaxed);
    version_.fetch_add(1, std::memory_order_acq_rel);
  }

  /// Says that `stream` uses the memory too: it is not reused before the work queued there by the time of its release.
  void record_stream(Stream stream);

  friend void release(Storage* storage) noexcept;

 private:
  friend Ref<Storage> allocate_storage(size_t bytes, Stream stream, bool pinned);
  friend Ref<Storage> adopt_storage(void* data, size_t bytes, Device device, std::function<void(void*)> deleter);
  enum class Kind : uint8_t { pooled, pinned, adopted };
  struct Extra;  // deleter and further streams: rarely present
  Storage() = default;
  ~Storage() = default;

  void* data_ = nullptr;
  size_t bytes_ = 0;
  Stream stream_;
  std::atomic<uint32_t> version_{0};
  Kind kind_ = Kind::pooled;
  std::atomic<const char*> writer_{""};
  Extra* extra_ = nullptr;
};

/// Uninitialised memory in the order of `stream`; zero bytes are allowed. `pinned`: host memory, page-locked if a CUDA
/// device exists. Throws OutOfMemory; backends try once more with an emptied cache before that.
Ref<Storage> allocate_storage(size_t bytes, Stream stream, bool pinned = false);
/// Foreign memory; `deleter`, if any, is called when the last tensor goes.
Ref<Storage> adopt_storage(void* data, size_t bytes, Device device, std::function<void(void*)> deleter);

/// Memory of a device as the pool sees it.
MemoryStats memory_stats(Device device);
/// "11.2 MiB in use by 12 tensors (peak 12.0), 0.9 cached"
std::string to_string(const MemoryStats& stats);
/// Gives cached memory of the device back to the system.
void empty_cache(Device device);

}  // namespace weft
