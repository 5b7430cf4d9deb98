#include "weft/cuda/memory_lock.h"

#include <algorithm>
#include <array>
#include <shared_mutex>

#include "weft/cuda/context.h"

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

}  // namespace

MemoryScope::MemoryScope(int device) : device_(device) { lock_of(device).lock_shared(); }
MemoryScope::~MemoryScope() { lock_of(device_).unlock_shared(); }

GroupedLaunchScope::GroupedLaunchScope() : devices_(std::max(count_devices(), 1)) {
  for (int device = 0; device < devices_; ++device) lock_of(device).lock();
}
GroupedLaunchScope::~GroupedLaunchScope() {
  for (int device = devices_; device-- > 0;) lock_of(device).unlock();
}

}  // namespace weft::cuda
