// Stream-ordered memory and its pools.
#include "../memory/pool.h"

#include "../streams/stream.h"
#include "device.h"
#include "status.h"

using namespace weft::sim;

namespace {

cudaMemPool_t handle_of(Pool* pool) { return reinterpret_cast<cudaMemPool_t>(pool); }

cudaError_t allocate_from(void** pointer, size_t bytes, Pool& pool, cudaStream_t handle, const char* who) {
  *pointer = nullptr;
  Stream* stream = stream_for_work(handle, who);
  if (!stream) return cudaErrorInvalidResourceHandle;
  return bytes == 0 ? cudaSuccess : allocate_in_order(pointer, bytes, pool, *stream);
}

// Calls work(pool) for a live pool, unless the plan wants the call to fail.
template <class Work>
cudaError_t with_pool(cudaMemPool_t handle, const char* who, FaultKind kind, Work work) {
  return entry([&] {
    Pool* pool = find_pool(handle, who);
    if (!pool) return cudaErrorInvalidValue;
    const auto code = planned_fault(kind, pool->device);
    return code ? *code : work(*pool);
  });
}

bool is_flag(cudaMemPoolAttr name) {
  return name == cudaMemPoolReuseFollowEventDependencies || name == cudaMemPoolReuseAllowOpportunistic ||
         name == cudaMemPoolReuseAllowInternalDependencies;
}

int& flag(Pool& pool, cudaMemPoolAttr name) { return pool.flags[name - cudaMemPoolReuseFollowEventDependencies]; }

bool is_device(const cudaMemLocation& location) {
  return location.type == cudaMemLocationTypeDevice && location.id >= 0 && location.id < device_count();
}

}  // namespace

cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t stream) {
  return entry(FaultKind::malloc, [&] {
    return allocate_from(pointer, bytes, *current_pool(current_device()), stream, "cudaMallocAsync");
  });
}

cudaError_t cudaMallocFromPoolAsync(void** pointer, size_t bytes, cudaMemPool_t handle, cudaStream_t stream) {
  return with_pool(handle, "cudaMallocFromPoolAsync", FaultKind::malloc,
                   [&](Pool& pool) { return allocate_from(pointer, bytes, pool, stream, "cudaMallocFromPoolAsync"); });
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t handle) {
  return entry([&] {
    Stream* stream = stream_for_work(handle, "cudaFreeAsync");
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (auto code = planned_fault(FaultKind::release, stream->device)) return *code;
    return pointer ? free_in_order(pointer, *stream) : cudaSuccess;
  });
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  return entry(FaultKind::query, [&] {
    if (device < 0 || device >= device_count()) return cudaErrorInvalidDevice;
    *pool = handle_of(default_pool(device));
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) {
  return entry(FaultKind::query, [&] {
    if (device < 0 || device >= device_count()) return cudaErrorInvalidDevice;
    *pool = handle_of(current_pool(device));
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSetMemPool(int device, cudaMemPool_t handle) {
  return with_pool(handle, "cudaDeviceSetMemPool", FaultKind::setup, [&](Pool& pool) {
    if (device != pool.device) return cudaErrorInvalidDevice;
    set_current_pool(device, &pool);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* props) {
  return entry(FaultKind::setup, [&] {
    if (props->allocType != cudaMemAllocationTypePinned || !is_device(props->location)) return cudaErrorInvalidValue;
    *pool = handle_of(create_pool(props->location.id));
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t handle) {
  return with_pool(handle, "cudaMemPoolDestroy", FaultKind::release, [&](Pool& pool) {
    if (pool.is_default) return cudaErrorInvalidValue;
    destroy_pool(&pool);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t handle, size_t keep) {
  return with_pool(handle, "cudaMemPoolTrimTo", FaultKind::release, [&](Pool& pool) {
    trim(pool, keep);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t handle, cudaMemPoolAttr name, void* value) {
  return with_pool(handle, "cudaMemPoolSetAttribute", FaultKind::setup, [&](Pool& pool) {
    if (is_flag(name)) {
      flag(pool, name) = *static_cast<int*>(value);
    } else if (name == cudaMemPoolAttrReleaseThreshold) {
      pool.release_threshold = *static_cast<uint64_t*>(value);
    } else if (name == cudaMemPoolAttrReservedMemHigh && *static_cast<uint64_t*>(value) == 0) {
      pool.reserved_high = pool.reserved;
    } else if (name == cudaMemPoolAttrUsedMemHigh && *static_cast<uint64_t*>(value) == 0) {
      pool.used_high = pool.used;
    } else {
      return cudaErrorInvalidValue;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t handle, cudaMemPoolAttr name, void* value) {
  return with_pool(handle, "cudaMemPoolGetAttribute", FaultKind::query, [&](Pool& pool) {
    if (is_flag(name)) {
      *static_cast<int*>(value) = flag(pool, name);
      return cudaSuccess;
    }
    uint64_t& number = *static_cast<uint64_t*>(value);
    switch (name) {
      case cudaMemPoolAttrReleaseThreshold:
        number = pool.release_threshold;
        return cudaSuccess;
      case cudaMemPoolAttrReservedMemCurrent:
        number = pool.reserved;
        return cudaSuccess;
      case cudaMemPoolAttrReservedMemHigh:
        number = pool.reserved_high;
        return cudaSuccess;
      case cudaMemPoolAttrUsedMemCurrent:
        number = pool.used;
        return cudaSuccess;
      case cudaMemPoolAttrUsedMemHigh:
        number = pool.used_high;
        return cudaSuccess;
      default:
        return cudaErrorInvalidValue;
    }
  });
}

cudaError_t cudaMemPoolSetAccess(cudaMemPool_t handle, const cudaMemAccessDesc* descriptions, size_t count) {
  return with_pool(handle, "cudaMemPoolSetAccess", FaultKind::setup, [&](Pool& pool) {
    for (size_t i = 0; i < count; ++i) {
      const cudaMemAccessDesc& description = descriptions[i];
      if (!is_device(description.location)) return cudaErrorInvalidValue;
      const int other = description.location.id;
      if (other != pool.device && !may_reach(other, pool.device)) return cudaErrorInvalidDevice;
      pool.access[description.location.id] = description.flags == cudaMemAccessFlagsProtReadWrite;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolGetAccess(cudaMemAccessFlags* flags, cudaMemPool_t handle, cudaMemLocation* location) {
  return with_pool(handle, "cudaMemPoolGetAccess", FaultKind::query, [&](Pool& pool) {
    if (!is_device(*location)) return cudaErrorInvalidValue;
    *flags = pool.access[location->id] ? cudaMemAccessFlagsProtReadWrite : cudaMemAccessFlagsProtNone;
    return cudaSuccess;
  });
}
