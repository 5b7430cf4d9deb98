// One reservation of addresses for all memory that the simulator checks, cut into areas of equal size: shared memory of
// the running block, an arena per device, pinned host memory. Arenas are inaccessible while host code runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../sim.h"

namespace weft::sim {

inline constexpr size_t area_bytes = size_t{1} << 29;
inline constexpr int shared_area = 0;
inline constexpr int pinned_area = max_devices + 1;
inline constexpr int area_count = max_devices + 2;
inline constexpr size_t region_bytes = area_bytes * area_count;

constexpr int area_of_device(int device) { return device + 1; }
constexpr bool is_device_area(int area) { return area > shared_area && area < pinned_area; }
constexpr int device_of_area(int area) { return is_device_area(area) ? area - 1 : -1; }

extern char* region_base;

/// Bytes from the region's start; at least region_bytes for an address outside of it.
inline size_t region_offset(const void* pointer) {
  return static_cast<size_t>(static_cast<const char*>(pointer) - region_base);
}
inline int area_of(size_t offset) { return static_cast<int>(offset / area_bytes); }
inline char* region_pointer(size_t offset) { return region_base + offset; }

/// Reserves the addresses and installs the handler that names device memory which host code touched.
void start_region();
/// Everything zero again, every arena closed.
void reset_region();

/// Opens a device's arena; true if it was closed. Costs some microseconds, so it stays open while operations run.
bool open_arena(int device);
void close_arena(int device);
void close_arenas();
/// Fills bytes of an arena with NaN: now if it is open, else when it is next opened.
void poison(size_t offset, size_t bytes);

}  // namespace weft::sim
