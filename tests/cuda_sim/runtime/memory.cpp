// Allocation: device memory, pinned memory, what the driver tells about pointers.
#include <algorithm>
#include <utility>
#include <vector>

#include "../memory/allocations.h"
#include "../memory/pinned.h"
#include "../memory/pool.h"
#include "../streams/stream.h"
#include "status.h"

using namespace weft::sim;

namespace {

cudaError_t allocate_now(void** pointer, size_t bytes, int area, const char* who) {
  const size_t offset = take_room(area, bytes);
  if (offset == region_bytes) return cudaErrorMemoryAllocation;
  const AllocationPtr allocation = new_allocation(area, offset, bytes);
  hold(allocation);
  run_on_host(who, [&] {
    order_write(allocation->offset, allocation->bytes, "takes");
    begin_life(allocation);
  });
  *pointer = region_pointer(offset);
  return cudaSuccess;
}

// Frees at once, whatever is still queued: that is an error of the caller, which the order of operations shows.
void free_now(const AllocationPtr& allocation, const char* who) {
  run_on_host(who, [&] {
    order_write(allocation->offset, allocation->bytes, "frees");
    end_life(allocation);
    if (allocation->pool) {
      return_to_pool(*allocation, host_slot, running.clock->at(host_slot));
    } else {
      give_room(allocation->area, allocation->offset);
    }
  });
}

// Pages are locked and unlocked for every device, which may wait for what runs there: here for collectives, whose
// kernels spin.
cudaError_t wait_for_collectives(const char* who) {
  std::vector<std::pair<uint32_t, uint32_t>> ends;
  for (const Stream* stream : all_streams())
    for (const Operation& operation : stream->queue)
      if (operation.kind == Kind::meeting) ends.emplace_back(stream->slot, operation.clock[stream->slot]);
  const auto ended = [&] {
    return std::all_of(ends.begin(), ends.end(), [](const auto& end) { return has_run(end.first, end.second); });
  };
  return run_until(ended, who) ? cudaSuccess : cudaErrorUnknown;
}

cudaError_t allocate_pinned(void** pointer, size_t bytes, const char* who) {
  return entry([&] {
    *pointer = nullptr;
    if (auto code = planned_fault(FaultKind::host_alloc, current_device())) return *code;
    if (bytes == 0) return cudaSuccess;
    const cudaError_t status = wait_for_collectives(who);
    return status == cudaSuccess ? allocate_now(pointer, bytes, pinned_area, who) : status;
  });
}

}  // namespace

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return entry([&] {
    *pointer = nullptr;
    if (auto code = planned_fault(FaultKind::malloc, current_device())) return *code;
    if (bytes == 0) return cudaSuccess;
    const int area = area_of_device(current_device());
    const cudaError_t status = allocate_now(pointer, bytes, area, "cudaMalloc");
    if (status != cudaErrorMemoryAllocation) return status;
    trim_all(current_device());
    return allocate_now(pointer, bytes, area, "cudaMalloc");
  });
}

cudaError_t cudaFree(void* pointer) {
  return entry(FaultKind::release, [&] {
    if (!pointer) return cudaSuccess;
    const AllocationPtr allocation = release(pointer, "cudaFree");
    if (!allocation) return cudaErrorInvalidValue;
    free_now(allocation, "cudaFree");
    return cudaSuccess;
  });
}

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  return allocate_pinned(pointer, bytes, "cudaHostAlloc");
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) { return allocate_pinned(pointer, bytes, "cudaMallocHost"); }

cudaError_t cudaFreeHost(void* pointer) {
  return entry(FaultKind::release, [&] {
    if (!pointer) return cudaSuccess;
    if (const cudaError_t status = wait_for_collectives("cudaFreeHost"); status != cudaSuccess) return status;
    const AllocationPtr allocation = release(pointer, "cudaFreeHost");
    if (!allocation) return cudaErrorInvalidValue;
    free_now(allocation, "cudaFreeHost");
    return cudaSuccess;
  });
}

cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned) {
  return entry([&] {
    if (auto code = planned_fault(FaultKind::host_alloc, current_device())) return *code;
    if (!pointer || bytes == 0) return cudaErrorInvalidValue;
    if (is_page_locked(pointer) || !register_host(pointer, bytes)) return cudaErrorHostMemoryAlreadyRegistered;
    return cudaSuccess;
  });
}

cudaError_t cudaHostUnregister(void* pointer) {
  return entry(FaultKind::release,
               [&] { return unregister_host(pointer) ? cudaSuccess : cudaErrorHostMemoryNotRegistered; });
}

cudaError_t cudaHostGetDevicePointer(void** device_pointer, void* host_pointer, unsigned) {
  return entry(FaultKind::query, [&] {
    if (!is_page_locked(host_pointer)) return cudaErrorInvalidValue;
    *device_pointer = host_pointer;
    return cudaSuccess;
  });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return entry(FaultKind::query, [&] {
    const int area = area_of_device(current_device());
    *total = memory_limit(area);
    *free = memory_limit(area) - memory_taken(area);
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return query_entry(FaultKind::query, current_device(), [&] {
    *attributes = {};
    attributes->type = cudaMemoryTypeUnregistered;
    attributes->device = -2;  // cudaInvalidDeviceId
    const AllocationPtr allocation = held_at(pointer);
    if (allocation && is_device_area(allocation->area)) {
      attributes->type = cudaMemoryTypeDevice;
      attributes->device = device_of_area(allocation->area);
      attributes->devicePointer = const_cast<void*>(pointer);
    } else if (is_page_locked(pointer)) {
      attributes->type = cudaMemoryTypeHost;
      attributes->device = current_device();
      attributes->devicePointer = attributes->hostPointer = const_cast<void*>(pointer);
    }
    return cudaSuccess;
  });
}
