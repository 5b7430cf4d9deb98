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
  /// Readable and writable by every device. Throws OutOfMemory after one retry with an emptied cache.
  void* allocate(size_t bytes);
  void deallocate(void* data) noexcept;
  /// Says that work on `stream` touches host memory; nothing happens unless it lies in a block of this pool.
  void note_use(const void* host, Stream stream);
  /// Whether host memory lies in a block of this pool.
  bool owns(const void* host) const;
  /// Gives free blocks whose copies have run back to the system.
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
  void empty_locked();

  static constexpr size_t keep_bytes = size_t{512} << 20;
  mutable std::mutex mutex_;
  std::map<const void*, Block> blocks_;  // by first address
  size_t cached_ = 0;                    // bytes of free blocks
};

}  // namespace weft::cuda
