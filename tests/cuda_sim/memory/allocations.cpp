#include "allocations.h"

#include <algorithm>
#include <deque>
#include <map>

#include "../lock.h"
#include "../reports.h"
#include "../streams/order.h"
#include "pinned.h"
#include "shadow.h"

namespace weft::sim {
namespace {

constexpr size_t red_zone = 256;
constexpr size_t default_limit = size_t{256} << 20;
constexpr size_t nearby = 4096;     // how far from an allocation a fault is described by it
constexpr size_t remembered = 256;  // freed allocations that can still be named
constexpr size_t smallest_round = size_t{4} << 20;

struct Area {
  size_t limit = default_limit;
  size_t taken = 0;
  size_t cursor = red_zone;
  std::map<size_t, size_t> rooms;  // offset -> bytes, red zone not counted
  std::map<size_t, AllocationPtr> held;
  std::map<size_t, AllocationPtr> live;
  std::deque<AllocationPtr> released;  // by the host, the latest first
};

Area areas[area_count];
int last_number = 0;
struct {
  size_t begin = 0, end = 0;
} made;  // an allocation whose maker is known: mostly the one that is written next, too

// The entry of the map that contains the offset, or null.
AllocationPtr containing(const std::map<size_t, AllocationPtr>& map, size_t offset) {
  auto next = map.upper_bound(offset);
  if (next == map.begin()) return nullptr;
  const AllocationPtr& found = std::prev(next)->second;
  return offset < found->offset + std::max<size_t>(found->bytes, 1) ? found : nullptr;
}

AllocationPtr released_at(const Area& area, size_t offset) {
  for (const AllocationPtr& allocation : area.released) {
    if (offset >= allocation->offset && offset < allocation->offset + allocation->bytes) return allocation;
  }
  return nullptr;
}

std::string hex(size_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%zx", number);
  return text;
}

std::string name(const Allocation& allocation) {
  const int device = device_of_area(allocation.area);
  const std::string place = device < 0 ? "pinned" : "cuda:" + std::to_string(device);
  return place + " allocation #" + std::to_string(allocation.number) + " (" + std::to_string(allocation.bytes) +
         " bytes" + makers_suffix(allocation.maker, allocation.offset) + ")";
}

}  // namespace

void reset_allocations() {
  for (Area& area : areas) area = Area();
  areas[pinned_area].limit = area_bytes;
  made = {};
  last_number = 0;
}

size_t memory_limit(int area) { return areas[area].limit; }
void set_area_limit(int area, size_t bytes) { areas[area].limit = bytes; }
size_t memory_taken(int area) { return areas[area].taken; }

size_t take_room(int area_number, size_t bytes) {
  Area& area = areas[area_number];
  const size_t room = std::max<size_t>(room_for(bytes), 256);
  if (room > area.limit || area.taken > area.limit - room) return region_bytes;
  // Every page that was ever touched makes opening and closing the arena slower: the places go round in a part of it.
  if (area.cursor > std::max(smallest_round, 4 * area.taken)) area.cursor = red_zone;
  // The first gap behind the place of the last success, going round once.
  const size_t need = room + red_zone;
  for (size_t begin : {area.cursor, red_zone}) {
    size_t at = begin;
    auto next = area.rooms.lower_bound(at);
    if (next != area.rooms.begin()) at = std::max(at, std::prev(next)->first + std::prev(next)->second + red_zone);
    while (next != area.rooms.end() && next->first < at + need) {
      at = next->first + next->second + red_zone;
      ++next;
    }
    if (at + need > area_bytes) continue;
    area.rooms[at] = room;
    area.taken += room;
    area.cursor = at + need;
    return area_number * area_bytes + at;
  }
  return region_bytes;
}

void give_room(int area_number, size_t offset) {
  Area& area = areas[area_number];
  auto room = area.rooms.find(offset - area_number * area_bytes);
  area.taken -= room->second;
  area.rooms.erase(room);
}

AllocationPtr new_allocation(int area, size_t offset, size_t bytes) {
  return std::make_shared<Allocation>(Allocation{++last_number, area, offset, bytes});
}

void hold(const AllocationPtr& allocation) { areas[allocation->area].held[allocation->offset] = allocation; }

AllocationPtr release(const void* pointer, const char* who) {
  const size_t offset = region_offset(pointer);
  if (offset >= region_bytes) {
    report(std::string(who) + ": " + describe(pointer) + " was not allocated");
    return nullptr;
  }
  auto& held = areas[area_of(offset)].held;
  auto found = held.find(offset);
  if (found == held.end()) {
    const char* reason = containing(held, offset)                      ? ", an address inside an allocation"
                         : released_at(areas[area_of(offset)], offset) ? ", a double free"
                                                                       : ", never allocated";
    report(std::string(who) + " of " + describe(pointer) + reason);
    return nullptr;
  }
  AllocationPtr allocation = found->second;
  held.erase(found);
  auto& released = areas[area_of(offset)].released;
  released.push_front(allocation);
  if (released.size() > remembered) released.pop_back();
  return allocation;
}

AllocationPtr held_at(const void* pointer) {
  const size_t offset = region_offset(pointer);
  return offset < region_bytes ? containing(areas[area_of(offset)].held, offset) : nullptr;
}

void note_maker(size_t offset, uint32_t operation) {
  if (offset >= made.begin && offset < made.end) return;
  const AllocationPtr live = containing(areas[area_of(offset)].live, offset);
  if (!live) return;
  if (live->maker == 0) live->maker = operation;
  made = {live->offset, live->offset + live->bytes};
}

void begin_life(const AllocationPtr& allocation) {
  made = {};
  areas[allocation->area].live[allocation->offset] = allocation;
  mark_live(allocation->offset, allocation->bytes, allocation->area == pinned_area);
  poison(allocation->offset, allocation->bytes);
}

void end_life(const AllocationPtr& allocation) {
  areas[allocation->area].live.erase(allocation->offset);
  mark_dead(allocation->offset, allocation->bytes);
  poison(allocation->offset, allocation->bytes);
}

std::string describe_offset(size_t offset) {
  const Area& area = areas[area_of(offset)];
  if (AllocationPtr live = containing(area.live, offset)) return name(*live) + ", +" + hex(offset - live->offset);
  if (AllocationPtr held = containing(area.held, offset)) {
    return name(*held) + ", +" + hex(offset - held->offset) + ", which is not allocated yet in the order of its stream";
  }
  if (AllocationPtr freed = released_at(area, offset)) {
    return name(*freed) + ", +" + hex(offset - freed->offset) + ", which has been freed";
  }
  auto next = area.live.upper_bound(offset);
  if (next != area.live.begin()) {
    const Allocation& before = *std::prev(next)->second;
    const size_t past = offset - before.offset - before.bytes;
    if (past < nearby) {
      return name(before) + ", +" + hex(offset - before.offset) + ", " + std::to_string(past) + " bytes past its end";
    }
  }
  if (next != area.live.end() && next->second->offset - offset < nearby) {
    return name(*next->second) + ", -" + hex(next->second->offset - offset) + ", before its beginning";
  }
  const int device = device_of_area(area_of(offset));
  return (device < 0 ? "pinned memory" : "cuda:" + std::to_string(device)) + " +" + hex(offset % area_bytes) +
         ", where nothing is allocated";
}

std::string describe(const void* pointer) {
  const size_t offset = region_offset(pointer);
  if (offset < area_bytes) return "shared memory +" + hex(offset);
  if (offset < region_bytes) return describe_offset(offset);
  if (!pointer) return "a null pointer";
  return (is_registered(pointer) ? "registered host memory at " : "host memory at ") +
         hex(reinterpret_cast<size_t>(pointer));
}

size_t live_allocations() {
  Lock lock;
  size_t count = 0;
  for (const Area& area : areas) count += area.held.size();
  return count;
}

}  // namespace weft::sim
