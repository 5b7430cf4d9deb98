#include "pool.h"

#include <algorithm>
#include <memory>
#include <unordered_map>

#include "../lock.h"
#include "../reports.h"
#include "../runtime/device.h"
#include "../streams/policy.h"

namespace weft::sim {
namespace {

std::unordered_map<void*, std::unique_ptr<Pool>> pools;  // destroyed ones stay: their handles must be known to be dead
Pool* defaults[max_devices];
Pool* currents[max_devices];

void add_reserved(Pool& pool, size_t room) {
  pool.reserved += room;
  pool.reserved_high = std::max(pool.reserved_high, pool.reserved);
}

// The block freed last that fits exactly and whose free is known to `ahead`, taken out; or none.
bool take_free_block(Pool& pool, size_t room, const Clock& ahead, size_t& offset) {
  const auto found = std::find_if(pool.free.rbegin(), pool.free.rend(), [&](const FreeBlock& block) {
    return block.room == room && knows(ahead, block.slot, block.count);
  });
  if (found == pool.free.rend() || schedule_random()() % 4 == 0) return false;
  offset = found->offset;
  pool.free.erase(std::next(found).base());
  return true;
}

}  // namespace

void reset_pools() {
  pools.clear();
  for (int device = 0; device < max_devices; ++device) {
    defaults[device] = currents[device] = create_pool(device);
    defaults[device]->is_default = true;
  }
}

Pool* default_pool(int device) { return defaults[device]; }
Pool* current_pool(int device) { return currents[device]; }
void set_current_pool(int device, Pool* pool) { currents[device] = pool; }

Pool* create_pool(int device) {
  auto made = std::make_unique<Pool>();
  Pool* pool = made.get();
  pools[pool] = std::move(made);
  pool->device = device;
  pool->access[device] = true;
  return pool;
}

void destroy_pool(Pool* pool) {
  if (pool->used != 0) {
    report("cudaMemPoolDestroy: " + std::to_string(pool->used) + " bytes of the pool are still allocated");
  }
  trim(*pool, 0);
  pool->destroyed = true;
  if (currents[pool->device] == pool) currents[pool->device] = defaults[pool->device];
}

size_t live_handles() {
  Lock lock;
  const auto lives = [](const auto& entry) { return !entry.second->is_default && !entry.second->destroyed; };
  return live_streams_and_events() + static_cast<size_t>(std::count_if(pools.begin(), pools.end(), lives));
}

Pool* find_pool(cudaMemPool_t handle, const char* who) {
  auto found = pools.find(handle);
  if (found != pools.end() && !found->second->destroyed) return found->second.get();
  report(std::string(who) + ": with a memory pool that does not exist, or no longer");
  return nullptr;
}

cudaError_t allocate_in_order(void** pointer, size_t bytes, Pool& pool, Stream& stream) {
  const int area = area_of_device(pool.device);
  const size_t room = room_for(bytes);
  size_t offset = region_bytes;
  if (!take_free_block(pool, room, clock_ahead(stream), offset)) {
    offset = take_room(area, bytes);
    if (offset == region_bytes) {
      trim_all(pool.device);
      offset = take_room(area, bytes);
    }
    if (offset == region_bytes) return cudaErrorMemoryAllocation;
    add_reserved(pool, room);
  }
  AllocationPtr allocation = new_allocation(area, offset, bytes);
  allocation->pool = &pool;
  hold(allocation);
  pool.used += room;
  pool.used_high = std::max(pool.used_high, pool.used);
  issue(stream, {.name = "cudaMallocAsync", .run = [allocation] {
                   order_write(allocation->offset, allocation->bytes, "takes");
                   begin_life(allocation);
                 }});
  *pointer = region_pointer(offset);
  return cudaSuccess;
}

cudaError_t free_in_order(void* pointer, Stream& stream) {
  const AllocationPtr held = held_at(pointer);
  if (held && region_pointer(held->offset) == pointer && !held->pool) {
    report("cudaFreeAsync of " + describe(pointer) + ", which cudaMalloc made; use cudaFree");
    return cudaErrorInvalidValue;
  }
  const AllocationPtr allocation = release(pointer, "cudaFreeAsync");
  if (!allocation) return cudaErrorInvalidValue;
  issue(stream, {.name = "cudaFreeAsync", .run = [allocation] {
                   order_write(allocation->offset, allocation->bytes, "frees");
                   end_life(allocation);
                 }});
  return_to_pool(*allocation, stream.slot, stream.clock[stream.slot]);
  return cudaSuccess;
}

void return_to_pool(const Allocation& allocation, uint32_t slot, uint32_t count) {
  Pool& pool = *allocation.pool;
  pool.used -= room_for(allocation.bytes);
  pool.free.push_back({allocation.offset, room_for(allocation.bytes), slot, count});
}

void trim(Pool& pool, uint64_t keep) {
  std::erase_if(pool.free, [&](const FreeBlock& block) {
    if (pool.reserved <= keep || !has_run(block.slot, block.count)) return false;
    give_room(area_of_device(pool.device), block.offset);
    pool.reserved -= block.room;
    return true;
  });
}

void trim_all(int device) {
  for (auto& [handle, pool] : pools) {
    if (pool->device == device) trim(*pool, 0);
  }
}

void trim_to_thresholds() {
  for (auto& [handle, pool] : pools) {
    if (pool->reserved > pool->release_threshold) trim(*pool, pool->release_threshold);
  }
}

bool may_access(const Allocation& allocation, int device) {
  if (device_of_area(allocation.area) == device) return true;
  return allocation.pool ? allocation.pool->access[device]
                         : peer_access_enabled(device, device_of_area(allocation.area));
}

}  // namespace weft::sim
