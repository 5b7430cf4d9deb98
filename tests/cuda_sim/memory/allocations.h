// Which memory is allocated. The host and the operations see different things: cudaMallocAsync gives an address at
// once, but the bytes live only from where the stream gets to it, and cudaFreeAsync takes the address at once and the
// bytes later. So an allocation is *held* by the host and *live* for operations, independently.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "region.h"

namespace weft::sim {

struct Pool;

struct Allocation {
  int number = 0;  // counted over the process
  int area = 0;
  size_t offset = 0;
  size_t bytes = 0;
  Pool* pool = nullptr;  // for memory of a pool
  uint32_t maker = 0;    // the operation that first wrote to it
};
using AllocationPtr = std::shared_ptr<Allocation>;

/// Bytes that an allocation takes from the limit of its device.
constexpr size_t room_for(size_t bytes) { return (bytes + 255) / 256 * 256; }

void reset_allocations();

/// Addresses for `bytes`, a multiple of 256 but of nothing larger, with a red zone behind; or region_bytes if the
/// device's limit or its addresses do not allow it. Addresses that were given back are used again as late as possible.
size_t take_room(int area, size_t bytes);
void give_room(int area, size_t offset);
size_t memory_limit(int area);
void set_area_limit(int area, size_t bytes);
/// Bytes taken, in rooms.
size_t memory_taken(int area);

AllocationPtr new_allocation(int area, size_t offset, size_t bytes);
void hold(const AllocationPtr& allocation);
/// The allocation that begins at `pointer` and is held no longer; null, and a report naming `who`, if there is none.
AllocationPtr release(const void* pointer, const char* who);
/// The held allocation that contains the address, or null.
AllocationPtr held_at(const void* pointer);

/// From here on operations may touch it: poisoned, and initialised only if it is pinned.
void begin_life(const AllocationPtr& allocation);
void end_life(const AllocationPtr& allocation);
/// An operation writes where none has written since the allocation began to live.
void note_maker(size_t offset, uint32_t operation);

/// "cuda:1 allocation #12 (256 bytes, made by relu), +0x40", with the reason if the address is not live.
std::string describe_offset(size_t offset);

}  // namespace weft::sim
