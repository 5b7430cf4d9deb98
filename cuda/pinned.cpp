#include "weft/cuda/pinned.h"

#include <bit>

#include "weft/cuda/check.h"
#include "weft/cuda/context.h"
#include "weft/cuda/stream.h"
#include "weft/tensor/error.h"
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

void* PinnedPool::allocate(size_t bytes) {
  const size_t size = rounded(bytes);
  const std::lock_guard lock(mutex_);
  for (auto& [address, block] : blocks_) {
    if (!block.free || block.size != size || !is_idle(block)) continue;
    block.free = false;
    cached_ -= size;
    return const_cast<void*>(address);
  }
  void* data = nullptr;
  const auto lock_pages = [&] { return cudaHostAlloc(&data, size, cudaHostAllocPortable); };
  cudaError_t status = on_any_device(lock_pages);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    empty_locked();
    status = on_any_device(lock_pages);
  }
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    fail<OutOfMemory>("pinned memory: the host cannot lock ", size >> 10,
                      " KiB more; use fewer or smaller pinned tensors");
  }
  check(status, "pinned memory");
  blocks_.insert_or_assign(data, Block{.size = size});
  return data;
}

void PinnedPool::deallocate(void* data) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(data);
  if (found == blocks_.end()) return;
  Block& block = found->second;
  try {
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
  } catch (...) {
    return;  // Nobody can say when the block may be used again, so it never is.
  }
  block.streams.clear();
  block.free = true;
  cached_ += block.size;
  if (cached_ > keep_bytes) {
    try {
      empty_locked();
    } catch (...) {
      return;  // The same: what could not be freed stays.
    }
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
  const std::lock_guard lock(mutex_);
  empty_locked();
}

size_t PinnedPool::cached() const {
  const std::lock_guard lock(mutex_);
  return cached_;
}

}  // namespace weft::cuda
