// Memory in the order of streams: cudaMallocAsync and its pools. A block freed on a stream is handed out again, while
// the free is still queued, to the same stream or to one that is ordered behind the free; about every fourth time it is
// not, so that a use after the free cannot hide in its successor.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "../streams/stream.h"
#include "allocations.h"

namespace weft::sim {

struct FreeBlock {
  size_t offset = 0;
  size_t room = 0;
  uint32_t slot = 0;  // where the free stands in its line of time
  uint32_t count = 0;
};

struct Pool {
  int device = 0;
  bool is_default = false;
  bool destroyed = false;
  uint64_t release_threshold = 0;
  uint64_t reserved = 0, reserved_high = 0;  // bytes taken from the device
  uint64_t used = 0, used_high = 0;          // bytes handed out
  bool access[max_devices] = {};             // which devices may touch its memory
  int flags[3] = {1, 1, 1};  // reuse: follow events, opportunistic, internal dependencies; kept, not used
  std::vector<FreeBlock> free;
};

void reset_pools();
Pool* default_pool(int device);
/// The pool that cudaMallocAsync uses.
Pool* current_pool(int device);
void set_current_pool(int device, Pool* pool);
Pool* create_pool(int device);
void destroy_pool(Pool* pool);
Pool* find_pool(cudaMemPool_t handle, const char* who);

cudaError_t allocate_in_order(void** pointer, size_t bytes, Pool& pool, Stream& stream);
cudaError_t free_in_order(void* pointer, Stream& stream);
/// cudaFree of memory of a pool: the block is free at once.
void return_to_pool(const Allocation& allocation, uint32_t slot, uint32_t count);

/// Gives free blocks whose free has run back to the device until at most `keep` bytes are reserved.
void trim(Pool& pool, uint64_t keep);
void trim_all(int device);
/// What synchronisation does: pools over their threshold give back.
void trim_to_thresholds();

/// Whether the plan of accesses lets `device` touch this memory; true for memory of no pool once peers are enabled.
bool may_access(const Allocation& allocation, int device);

}  // namespace weft::sim
