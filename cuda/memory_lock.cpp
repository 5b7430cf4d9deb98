#include "weft/cuda/memory_lock.h"

#include <algorithm>
#include <array>
#include <shared_mutex>

#include "weft/cuda/context.h"
#include "weft/cuda/wait.h"

namespace weft::cuda {

namespace {

// A line of its own for each device, so that their allocations do not slow each other down.
struct alignas(64) Line {
  std::shared_mutex mutex;
};

std::shared_mutex& lock_of(int device) {
  static auto& lines = *new std::array<Line, Context::max_devices>;  // never destroyed: tensors may outlive statics
  return lines[static_cast<size_t>(device)].mutex;
}

// Device by device, so that one which is kept busy for good is named.
void wait_for_all_collectives() {
  for (int device = 0; device < count_devices(); ++device) wait_for_collectives(device);
}

}  // namespace

MemoryScope::MemoryScope(int device) : device_(device) { lock_of(device).lock_shared(); }
MemoryScope::~MemoryScope() { lock_of(device_).unlock_shared(); }

// The second wait is under a lock that a grouped launch takes too, so nothing new can begin. What it waits for was
// launched on all its devices and needs no launch of others to end, or to be given up.
QuietScope::QuietScope(int device) : memory_((wait_for_collectives(device), device)) { wait_for_collectives(device); }
QuietScope::QuietScope() : memory_((wait_for_all_collectives(), 0)) { wait_for_all_collectives(); }

GroupedLaunchScope::GroupedLaunchScope() : devices_(std::max(count_devices(), 1)) {
  for (int device = 0; device < devices_; ++device) lock_of(device).lock();
}
GroupedLaunchScope::~GroupedLaunchScope() {
  for (int device = devices_; device-- > 0;) lock_of(device).unlock();
}

}  // namespace weft::cuda
