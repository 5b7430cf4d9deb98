#include "weft/cuda/pinned.h"

#include <bit>

#include "weft/cuda/check.h"
#include "weft/cuda/context.h"
#include "weft/cuda/memory_lock.h"
#include "weft/cuda/stream.h"
#include "weft/cuda/wait.h"
#include "weft/tensor/error.h"
#include "weft/tensor/group.h"
#include "weft/tensor/untold.h"

namespace weft::cuda {

namespace {

// Four sizes per power of two, from a page up, so that freed blocks fit again.
size_t rounded(size_t bytes) {
  constexpr size_t page = 4096;
  if (bytes <= page) return page;
  const size_t unit = std::bit_ceil(bytes) / 8;
  return (bytes + unit - 1) / unit * unit;
}

// Page-locked memory belongs to no device, but the call goes to the thread's current one: if that is lost, to another.
template <class Call>
cudaError_t on_any_device(Call call) {
  cudaError_t status = call();
  for (int index = 0; is_sticky(status) && index < count_devices(); ++index) {
    static_cast<void>(cudaGetLastError());
    try {
      const weft::detail::UntoldScope untold;
      const DeviceScope scope(index);
      status = call();
    } catch (const DeviceLost&) {
      // The next one, then.
    }
  }
  return status;
}

}  // namespace

bool PinnedPool::is_idle(Block& block) {
  while (!block.pending.empty()) {
    try {
      const weft::detail::UntoldScope untold;
      const DeviceScope scope(block.pending.back().device);
      const cudaError_t status = cudaEventQuery(block.pending.back().event.raw());
      if (status == cudaErrorNotReady) {
        static_cast<void>(cudaGetLastError());
        return false;
      }
      check(status, "pinned memory");
    } catch (const DeviceLost&) {
      // It reads and writes no more.
    }
    block.pending.pop_back();
  }
  return true;
}

// A free block of this size, or null.
void* PinnedPool::reuse(size_t size) {
  const std::lock_guard lock(mutex_);
  for (auto& [address, block] : blocks_) {
    if (!block.free || block.size != size || !is_idle(block)) continue;
    block.free = false;
    cached_ -= size;
    return const_cast<void*>(address);
  }
  return nullptr;
}

void* PinnedPool::allocate(size_t bytes) {
  const size_t size = rounded(bytes);
  if (void* const data = reuse(size)) return data;
  const QuietScope quiet;  // others use the pool meanwhile
  void* data = nullptr;
  const auto lock_pages = [&] { return cudaHostAlloc(&data, size, cudaHostAllocPortable); };
  cudaError_t status = on_any_device(lock_pages);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    {
      const std::lock_guard lock(mutex_);
      empty_locked();
    }
    status = on_any_device(lock_pages);
  }
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    fail<OutOfMemory>("pinned memory: the host cannot lock ", size >> 10,
                      " KiB more; use fewer or smaller pinned tensors");
  }
  check(status, "pinned memory");
  const std::lock_guard lock(mutex_);
  blocks_.insert_or_assign(data, Block{.size = size});
  return data;
}

// False if too much is free now. Throws where nobody can say when the block may be used again: then it never is.
bool PinnedPool::put_back(void* data) {
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(data);
  if (found == blocks_.end()) return true;
  Block& block = found->second;
  for (const Stream& stream : block.streams) {
    try {
      const weft::detail::UntoldScope untold;
      const DeviceScope scope(stream.device.index);
      Pending pending{stream.device.index, {}};
      check(cudaEventCreateWithFlags(pending.event.out(), cudaEventDisableTiming), "pinned memory");
      check(cudaEventRecord(pending.event.raw(), native(stream)), "pinned memory");
      block.pending.push_back(std::move(pending));
    } catch (const DeviceLost&) {
      // It reads and writes no more.
    }
  }
  block.streams.clear();
  block.free = true;
  cached_ += block.size;
  return cached_ <= keep_bytes_;
}

void PinnedPool::deallocate(void* data) noexcept {
  try {
    if (put_back(data)) return;
    const MemoryScope memory(0);  // no collective begins
    CollectiveWatch* const collectives = collective_watch();
    if (collectives && collectives->is_busy(-1)) return;  // who frees the next block asks again
    const std::lock_guard lock(mutex_);
    empty_locked();
  } catch (...) {
    return;  // what could not be freed stays
  }
}

std::map<const void*, PinnedPool::Block>::const_iterator PinnedPool::find(const void* host) const {
  auto found = blocks_.upper_bound(host);
  if (found == blocks_.begin()) return blocks_.end();
  --found;
  const bool within = static_cast<const char*>(host) < static_cast<const char*>(found->first) + found->second.size;
  return within ? found : blocks_.end();
}

bool PinnedPool::owns(const void* host) const {
  const std::lock_guard lock(mutex_);
  return find(host) != blocks_.end();
}

void PinnedPool::note_use(const void* host, Stream stream) {
  const std::lock_guard lock(mutex_);
  const auto found = find(host);
  if (found == blocks_.end()) return;
  Block& block = blocks_.at(found->first);
  for (const Stream& known : block.streams)
    if (known == stream) return;
  block.streams.push_back(stream);
}

void PinnedPool::empty_locked() {
  for (auto it = blocks_.begin(); it != blocks_.end();) {
    if (!it->second.free || !is_idle(it->second)) {
      ++it;
      continue;
    }
    check(on_any_device([&] { return cudaFreeHost(const_cast<void*>(it->first)); }), "free pinned memory");
    cached_ -= it->second.size;
    it = blocks_.erase(it);
  }
}

void PinnedPool::empty() {
  try {
    const QuietScope quiet;
    const std::lock_guard lock(mutex_);
    empty_locked();
  } catch (const CommError&) {
    return;  // as said
  }
}

size_t PinnedPool::cached() const {
  const std::lock_guard lock(mutex_);
  return cached_;
}

}  // namespace weft::cuda
