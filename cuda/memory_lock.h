// What must not run beside the launch of a grouped collective.
//
// Note [Memory and grouped launches]: the kernels of a collective spin until all ranks' are running. While one thread
// launches them device by device, another one's call that takes memory from the driver, or a copy from or to pageable
// memory, may hold what the next launch needs and wait for the kernel of the last one: a deadlock. So such calls take
// the lock of their device shared, and a grouped launch takes those of all devices. Memory freed in the order of a
// stream waits for nothing and takes no lock. Kernels that are loaded when they are first launched take none either:
// that may wait for the device, but all ranks of a collective run by then; who keeps other threads launching new
// kernels beside it sets CUDA_MODULE_LOADING=EAGER.
#pragma once

namespace weft::cuda {

/// Around a call that takes or gives back memory of a device (or pinned memory: device 0). Scopes do not nest.
class MemoryScope {
 public:
  explicit MemoryScope(int device);
  ~MemoryScope();
  MemoryScope(const MemoryScope&) = delete;
  MemoryScope& operator=(const MemoryScope&) = delete;

 private:
  int device_;
};

/// Around a grouped launch, or the setting up of communicators. In its scope nobody allocates, this thread neither.
class GroupedLaunchScope {
 public:
  GroupedLaunchScope();
  ~GroupedLaunchScope();
  GroupedLaunchScope(const GroupedLaunchScope&) = delete;
  GroupedLaunchScope& operator=(const GroupedLaunchScope&) = delete;

 private:
  int devices_;
};

}  // namespace weft::cuda
