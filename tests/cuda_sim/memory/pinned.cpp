#include "pinned.h"

#include <map>

#include "region.h"

namespace weft::sim {
namespace {

std::map<const char*, size_t> ranges;

}  // namespace

void reset_registered() { ranges.clear(); }

bool register_host(const void* pointer, size_t bytes) {
  const char* begin = static_cast<const char*>(pointer);
  auto next = ranges.lower_bound(begin);
  if (next != ranges.end() && next->first < begin + bytes) return false;
  if (next != ranges.begin() && std::prev(next)->first + std::prev(next)->second > begin) return false;
  ranges[begin] = bytes;
  return true;
}

bool unregister_host(const void* pointer) { return ranges.erase(static_cast<const char*>(pointer)) == 1; }

bool is_registered(const void* pointer) {
  const char* address = static_cast<const char*>(pointer);
  auto next = ranges.upper_bound(address);
  return next != ranges.begin() && address < std::prev(next)->first + std::prev(next)->second;
}

bool is_page_locked(const void* pointer) {
  const size_t offset = region_offset(pointer);
  return (offset < region_bytes && area_of(offset) == pinned_area) || is_registered(pointer);
}

}  // namespace weft::sim
