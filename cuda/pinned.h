// Page-locked host memory, cached: locking pages takes milliseconds and waits for the device.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

#include "weft/cuda/handle.h"
#include "weft/tensor/device.h"

namespace weft::cuda {

/// Any thread may call any function. A block is reused only after the copies that touched it have run.
class PinnedPool {
 public:
  /// Frees what is cached beyond so many bytes.
  explicit PinnedPool(size_t keep_bytes = size_t{512} << 20) : keep_bytes_(keep_bytes) {}

  /// Readable and writable by every device. Throws OutOfMemory after one retry with an emptied cache, and CommError
  /// where a collective is under way that cannot be given up: to lock pages may wait for every device.
  void* allocate(size_t bytes);
  void deallocate(void* data) noexcept;
  /// Says that work on `stream` touches host memory; nothing happens unless it lies in a block of this pool.
  void note_use(const void* host, Stream stream);
  /// Whether host memory lies in a block of this pool.
  bool owns(const void* host) const;
  /// Gives free blocks whose copies have run back to the system; none while a collective cannot be given up.
  void empty();
  size_t cached() const;

 private:
  struct Pending {
    int device;
    UniqueEvent event;
  };
  struct Block {
    size_t size = 0;
    bool free = false;
    std::vector<Stream> streams = {};   // that touched it since it was handed out
    std::vector<Pending> pending = {};  // what must have run before it is handed out again
  };
  static bool is_idle(Block& block);
  std::map<const void*, Block>::const_iterator find(const void* host) const;
  void* reuse(size_t size);
  bool put_back(void* data);
  void empty_locked();

  size_t keep_bytes_;
  mutable std::mutex mutex_;
  std::map<const void*, Block> blocks_;  // by first address
  size_t cached_ = 0;                    // bytes of free blocks
};

}  // namespace weft::cuda
