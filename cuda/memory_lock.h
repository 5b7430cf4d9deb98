// What must not run beside the launch of a grouped collective.
//
// Note [Memory and grouped launches]: the kernels of a collective spin until all ranks' are running. While one thread
// launches them device by device, another one's call that takes memory from the driver, or a copy from or to pageable
// memory, may hold what the next launch needs and wait for the kernel of the last one: a deadlock. So such calls take
// the lock of their device shared, and a grouped launch takes those of all devices. Memory freed in the order of a
// stream waits for nothing and takes no lock.
//
// CUDA loads a kernel when it is first launched, and that waits for the device under locks of the driver: such a call
// too. Which launch is a first one only the driver knows, in libraries above all, so every launch takes the lock, which
// is little beside a launch. Beside a collective that runs on all its devices a kernel is loaded safely, if late. Two
// other ways were not taken: CUDA_MODULE_LOADING=EAGER loads all kernels of cuBLAS and cuDNN, hundreds of megabytes on
// each device, and must be in the environment before the driver starts; loading weft's kernels in advance leaves out
// those of the libraries. Who launches kernels of his own beside weft's collectives still wants EAGER.
#pragma once

namespace weft::cuda {

/// Around a call that takes or gives back memory of a device (or pinned memory: device 0), or launches a kernel there.
/// Scopes do not nest.
class MemoryScope {
 public:
  explicit MemoryScope(int device);
  ~MemoryScope();
  MemoryScope(const MemoryScope&) = delete;
  MemoryScope& operator=(const MemoryScope&) = delete;

 private:
  int device_;
};

/// Around a call that may wait for the device: a MemoryScope in which no collective of the device is under way. It
/// waits for those there are as wait_for_collectives() does, and once more for one that was launched before it had the
/// lock.
class QuietScope {
 public:
  explicit QuietScope(int device);
  /// Of all devices: the driver may wait for each. CommError where a collective cannot be given up.
  QuietScope();

 private:
  MemoryScope memory_;
};

/// Around a grouped launch, or the setting up of communicators. In its scope nobody allocates or launches, this thread
/// neither.
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
