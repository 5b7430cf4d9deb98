// The CUDA backend: stream-ordered pools, copies, streams and events of every device.
#include "weft/cuda/backend.h"

#include <cstdio>

#include "weft/cuda/check.h"
#include "weft/cuda/context.h"
#include "weft/cuda/memory_lock.h"
#include "weft/cuda/nvtx.h"
#include "weft/cuda/pinned.h"
#include "weft/cuda/wait.h"
#include "weft/tensor/backend.h"
#include "weft/tensor/error.h"
#include "weft/tensor/untold.h"

namespace weft::cuda {

namespace {

std::string amount(double bytes, double unit) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", bytes / unit);
  return text;
}

uint64_t pool_bytes(cudaMemPool_t pool, cudaMemPoolAttr what) {
  uint64_t bytes = 0;
  check(cudaMemPoolGetAttribute(pool, what, &bytes), "memory pool attribute");
  return bytes;
}

class CudaBackend final : public Backend {
 public:
  int device_count() const noexcept override { return count_devices(); }
  std::string why_unavailable() const override { return why_no_devices(); }

  void* allocate(size_t bytes, Stream stream) override;
  void deallocate(void* data, size_t bytes, Stream stream) noexcept override;
  void* allocate_pinned(size_t bytes) override { return pinned_.allocate(bytes); }
  void deallocate_pinned(void* data, size_t) noexcept override {
    if (!is_exiting()) pinned_.deallocate(data);
  }
  void empty_cache(int index) override;
  MemoryStats memory(int index) const override;

  void copy(void* destination, Device to, const void* source, Device from, size_t bytes, Stream stream) override;

  bool is_page_locked(const void* host, int index) const override;

  uint64_t create_stream(int index) override { return Context::of(index).create_stream(); }
  void synchronize(Stream stream) override {
    const DeviceScope scope(stream.device.index);
    Context::of(stream.device.index).stream(stream.id).synchronize();
  }
  void synchronize_device(int index) override {
    if (Context* context = Context::if_used(index)) context->synchronize();
  }

  void* create_event(int index, bool timing) override {
    const DeviceScope scope(index);
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, timing ? cudaEventDefault : cudaEventDisableTiming), "create event");
    return event;
  }
  void destroy_event(void* event, int index) noexcept override;
  void record(void* event, Stream stream) override {
    const DeviceScope scope(stream.device.index);
    check(cudaEventRecord(static_cast<cudaEvent_t>(event), native(stream)), "record event");
  }
  void wait(Stream stream, void* event) override {
    const DeviceScope scope(stream.device.index);
    check(cudaStreamWaitEvent(native(stream), static_cast<cudaEvent_t>(event), 0), "wait for event");
  }
  bool query(void* event, int index) override;
  void synchronize_event(void* event, int index) override {
    const DeviceScope scope(index);
    check(wait_for(static_cast<cudaEvent_t>(event), index), "synchronize event");
  }
  double elapsed_ms(void* start, void* end, int index) override;

 private:
  static cudaError_t allocate_once(void** data, size_t bytes, const Context& context, cudaStream_t stream);
  static void copy_pageable(void* destination, const void* source, size_t bytes, cudaMemcpyKind kind, Stream stream);
  [[noreturn]] static void out_of_memory(size_t bytes, const Context& context);
  PinnedPool pinned_;
};

cudaError_t CudaBackend::allocate_once(void** data, size_t bytes, const Context& context, cudaStream_t stream) {
  const MemoryScope memory(context.index());
  return cudaMallocFromPoolAsync(data, bytes, context.pool(), stream);
}

void* CudaBackend::allocate(size_t bytes, Stream stream) {
  Context& context = Context::of(stream.device.index);
  const DeviceScope scope(context.index());
  const cudaStream_t handle = context.stream(stream.id).handle();
  void* data = nullptr;
  cudaError_t status = allocate_once(&data, bytes, context, handle);
  if (status == cudaErrorMemoryAllocation) [[unlikely]] {
    static_cast<void>(cudaGetLastError());
    empty_cache(context.index());
    status = allocate_once(&data, bytes, context, handle);
    if (status == cudaErrorMemoryAllocation) out_of_memory(bytes, context);
  }
  check(status, "allocate");
  return data;
}

void CudaBackend::out_of_memory(size_t bytes, const Context& context) {
  static_cast<void>(cudaGetLastError());
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "memory of the device");
  const auto used = static_cast<double>(pool_bytes(context.pool(), cudaMemPoolAttrUsedMemCurrent));
  const auto held = static_cast<double>(pool_bytes(context.pool(), cudaMemPoolAttrReservedMemCurrent));
  constexpr double mib = 1 << 20, gib = 1 << 30;
  const bool large = static_cast<double>(total) >= 4 * gib;
  const double unit = large ? gib : mib;
  fail<OutOfMemory>(Device(DeviceType::cuda, context.index()), " is out of memory: asked ",
                    amount(static_cast<double>(bytes), mib), " MiB; ", amount(used, unit), " of ",
                    amount(static_cast<double>(total), unit), large ? " GiB" : " MiB", " in use by tensors, ",
                    amount(held - used, unit), " cached, ", amount(static_cast<double>(free), unit),
                    " free; reduce the batch or call empty_cache()");
}

void CudaBackend::deallocate(void* data, size_t, Stream stream) noexcept {
  if (is_exiting()) return;
  try {
    const weft::detail::UntoldScope untold;
    const DeviceScope scope(stream.device.index);
    check(cudaFreeAsync(data, native(stream)), "deallocate");
  } catch (const DeviceLost&) {
    return;  // its memory went with it, and the next who uses the device is told
  } catch (const Error& error) {
    std::fprintf(stderr, "weft: %s\n", error.what());
  }
}

void CudaBackend::empty_cache(int index) {
  pinned_.empty();
  const QuietScope quiet(index);
  Context* context = Context::if_used(index);
  if (!context) return;
  const DeviceScope scope(index);
  // What was freed in the order of a stream is free once the stream has come that far. Errors that kernels marked are
  // left for who synchronises to read a result.
  check(cudaDeviceSynchronize(), "empty_cache");
  check(cudaMemPoolTrimTo(context->pool(), 0), "empty_cache");
}

MemoryStats CudaBackend::memory(int index) const {
  MemoryStats stats;
  const Context* context = Context::if_used(index);
  if (!context) return stats;  // asking would make CUDA set the device up
  const DeviceScope scope(index);
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "memory of the device");
  stats.total = static_cast<int64_t>(total);
  stats.cached = static_cast<int64_t>(pool_bytes(context->pool(), cudaMemPoolAttrReservedMemCurrent) -
                                      pool_bytes(context->pool(), cudaMemPoolAttrUsedMemCurrent));
  return stats;
}

void CudaBackend::copy(void* destination, Device to, const void* source, Device from, size_t bytes, Stream stream) {
  if (bytes == 0) return;
  const DeviceScope scope(stream.device.index);
  const cudaStream_t handle = native(stream);
  note_operation(stream.device.index, "copy");
  if (!to.is_cpu() && !from.is_cpu() && to != from) {
    // Directly where the devices reach each other, else the driver stages it through the host: the result is the same.
    check(cudaMemcpyPeerAsync(destination, to.index, source, from.index, bytes, handle), "copy between devices");
    return;
  }
  const void* host = to.is_cpu() ? destination : from.is_cpu() ? source : nullptr;
  const cudaMemcpyKind kind = to.is_cpu()     ? cudaMemcpyDeviceToHost
                              : from.is_cpu() ? cudaMemcpyHostToDevice
                                              : cudaMemcpyDeviceToDevice;
  if (host && !pinned_.owns(host)) {
    copy_pageable(destination, source, bytes, kind, stream);
    return;
  }
  check(cudaMemcpyAsync(destination, source, bytes, kind, handle), "copy");
  if (to.is_cpu()) pinned_.note_use(destination, stream);
  if (from.is_cpu()) pinned_.note_use(source, stream);
}

// The driver stages these and may wait for the device meanwhile: never beside a collective.
void CudaBackend::copy_pageable(void* destination, const void* source, size_t bytes, cudaMemcpyKind kind,
                                Stream stream) {
  const QuietScope quiet(stream.device.index);
  check(cudaMemcpyAsync(destination, source, bytes, kind, native(stream)), "copy");
}

bool CudaBackend::is_page_locked(const void* host, int index) const {
  if (pinned_.owns(host)) return true;
  const DeviceScope scope(index);
  cudaPointerAttributes attributes;
  check(cudaPointerGetAttributes(&attributes, host), "copy");
  return attributes.type != cudaMemoryTypeUnregistered;
}

void CudaBackend::destroy_event(void* event, int index) noexcept {
  if (is_exiting()) return;
  try {
    const weft::detail::UntoldScope untold;
    const DeviceScope scope(index);
    check(cudaEventDestroy(static_cast<cudaEvent_t>(event)), "destroy event");
  } catch (const DeviceLost&) {
    return;
  } catch (const Error& error) {
    std::fprintf(stderr, "weft: %s\n", error.what());
  }
}

bool CudaBackend::query(void* event, int index) {
  const DeviceScope scope(index);
  const cudaError_t status = cudaEventQuery(static_cast<cudaEvent_t>(event));
  if (status == cudaErrorNotReady) {
    static_cast<void>(cudaGetLastError());
    return false;
  }
  check(status, "query event");
  if (CollectiveWatch* const collectives = collective_watch()) collectives->deliver(index);
  return true;
}

double CudaBackend::elapsed_ms(void* start, void* end, int index) {
  const DeviceScope scope(index);
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(start), static_cast<cudaEvent_t>(end)),
        "elapsed_ms");
  return milliseconds;
}

}  // namespace

void register_backend() {
  // Never destroyed: tensors with static storage duration give their memory back after static destructors began.
  static auto& instance = *new CudaBackend;
  weft::detail::register_backend(DeviceType::cuda, &instance);
  register_nvtx();
}

}  // namespace weft::cuda
