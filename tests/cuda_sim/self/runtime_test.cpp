// The runtime's functions: devices, memory, limits, errors, faults. One file although it is long: a case for each
// function, as they stand in the runtime's header.
#include <doctest/doctest.h>

#include <cstring>

#include "../mutants/kernels.h"
#include "sim.h"
#include "support.h"

namespace weft::sim {
namespace {

using mutants::idle;
using mutants::set;

constexpr int n = 64;

void begin() {
  set_schedule({.seed = first_seed()});
  reset();
}

TEST_CASE("without devices everything answers as without a driver") {
  set_device_count(0);
  int count = -1, version = -1;
  CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver);
  CHECK(count == -1);
  CHECK(cudaDriverGetVersion(&version) == cudaSuccess);
  CHECK(version == 0);
  void* x = nullptr;
  CHECK(cudaMalloc(&x, 16) == cudaErrorInsufficientDriver);
  CHECK(cudaSetDevice(0) == cudaErrorInsufficientDriver);
  set_device_count(4);
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
  CHECK(count == 4);
  CHECK(cudaSetDevice(4) == cudaErrorInvalidDevice);
  CHECK(cudaGetLastError() == cudaErrorInvalidDevice);
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("properties and attributes agree") {
  begin();
  cudaDeviceProp prop;
  REQUIRE(cudaGetDeviceProperties(&prop, 1) == cudaSuccess);
  int shared = 0, processors = 0;
  REQUIRE(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, 1) == cudaSuccess);
  REQUIRE(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 1) == cudaSuccess);
  CHECK(static_cast<size_t>(shared) == prop.sharedMemPerBlockOptin);
  CHECK(processors == prop.multiProcessorCount);
  CHECK(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxTexture1DWidth, 1) == cudaErrorInvalidValue);
  CHECK(contains(take_reports(), "is not simulated"));
}

TEST_CASE("the memory of a device ends, in one allocation or many, and comes back") {
  begin();
  set_memory_limit(1, 1 << 20);
  (void)cudaSetDevice(1);
  void *x = nullptr, *y = nullptr;
  CHECK(cudaMalloc(&x, (1 << 20) + 1) == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaMalloc(&x, 1 << 20) == cudaSuccess);
  CHECK(cudaMalloc(&y, 1) == cudaErrorMemoryAllocation);
  size_t free = 1, total = 0;
  CHECK(cudaMemGetInfo(&free, &total) == cudaSuccess);
  CHECK(free == 0);
  CHECK(total == 1 << 20);
  CHECK(cudaFree(x) == cudaSuccess);
  CHECK(cudaMalloc(&y, 1 << 20) == cudaSuccess);
  CHECK(live_allocations() == 1);
}

TEST_CASE("a pool keeps what is freed up to its threshold, counts, and gives back when asked or when memory ends") {
  begin();
  set_memory_limit(0, 1 << 20);
  cudaStream_t stream = make_stream();
  cudaMemPool_t pool;
  REQUIRE(cudaDeviceGetDefaultMemPool(&pool, 0) == cudaSuccess);
  uint64_t threshold = UINT64_MAX, used = 0, reserved = 0;
  CHECK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold) == cudaSuccess);
  void* x = nullptr;
  REQUIRE(cudaMallocAsync(&x, 1 << 19, stream) == cudaSuccess);
  CHECK(cudaFreeAsync(x, stream) == cudaSuccess);
  (void)cudaStreamSynchronize(stream);
  (void)cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used);
  (void)cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved);
  CHECK(used == 0);
  CHECK(reserved == 1 << 19);
  void* large = nullptr;
  CHECK(cudaMallocAsync(&large, 1 << 20, stream) == cudaSuccess);  // the cache makes room
  CHECK(cudaFreeAsync(large, stream) == cudaSuccess);
  (void)cudaStreamSynchronize(stream);
  CHECK(cudaMemPoolTrimTo(pool, 0) == cudaSuccess);
  (void)cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved);
  CHECK(reserved == 0);
  CHECK(take_reports().empty());
}

TEST_CASE("a block comes back to its own stream at once, to another only behind an event") {
  begin();
  cudaStream_t a = make_stream(), b = make_stream();
  int own = 0, unordered = 0, ordered = 0;
  for (int i = 0; i < 40; ++i) {
    void *x, *y;
    REQUIRE(cudaMallocAsync(&x, 1024, a) == cudaSuccess);
    (void)cudaFreeAsync(x, a);
    REQUIRE(cudaMallocAsync(&y, 1024, a) == cudaSuccess);
    own += x == y;
    (void)cudaFreeAsync(y, a);
    REQUIRE(cudaMallocAsync(&x, 1024, b) == cudaSuccess);
    unordered += x == y;
    (void)cudaFreeAsync(x, b);
    cudaEvent_t event;
    (void)cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    (void)cudaEventRecord(event, b);
    (void)cudaStreamWaitEvent(a, event, 0);
    REQUIRE(cudaMallocAsync(&y, 1024, a) == cudaSuccess);
    ordered += x == y;
    (void)cudaFreeAsync(y, a);
  }
  CHECK(own > 10);
  CHECK(own < 40);  // not always, or uses after a free could hide
  CHECK(unordered == 0);
  CHECK(ordered > 5);
  (void)cudaDeviceSynchronize();
  CHECK(take_reports().empty());
}

TEST_CASE("launches are checked against the limits of the device") {
  begin();
  cudaStream_t stream = make_stream();
  CHECK(idle(dim3(1), dim3(1024), 0, stream) == cudaSuccess);
  CHECK(idle(dim3(0), dim3(32), 0, stream) == cudaErrorInvalidConfiguration);
  CHECK(idle(dim3(1), dim3(1025), 0, stream) == cudaErrorInvalidConfiguration);
  CHECK(idle(dim3(1), dim3(32, 32, 2), 0, stream) == cudaErrorInvalidConfiguration);
  CHECK(idle(dim3(1, 65536), dim3(32), 0, stream) == cudaErrorInvalidConfiguration);
  CHECK(idle(dim3(1), dim3(32), 48 * 1024, stream) == cudaSuccess);
  CHECK(idle(dim3(1), dim3(32), 64 * 1024, stream) == cudaErrorInvalidValue);
  CHECK(cudaFuncSetAttribute(mutants::idle_kernel_address, cudaFuncAttributeMaxDynamicSharedMemorySize, 1 << 18) ==
        cudaErrorInvalidValue);
  CHECK(idle(dim3(1), dim3(32), 0, stream) == cudaErrorInvalidValue);  // which the next launch is told of, once
  CHECK(cudaFuncSetAttribute(mutants::idle_kernel_address, cudaFuncAttributeMaxDynamicSharedMemorySize, 64 * 1024) ==
        cudaSuccess);
  CHECK(idle(dim3(1), dim3(32), 64 * 1024, stream) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(take_reports().empty());
}

TEST_CASE("a sticky error comes with the next call, stays on its device, and leaves the others alone") {
  begin();
  cudaStream_t stream = make_stream();
  float* x = make_floats(n);
  inject({.kind = FaultKind::launch, .device = 0, .code = cudaErrorIllegalAddress});
  CHECK(set(x, n, 1, stream) == cudaSuccess);
  CHECK(fired(FaultKind::launch) == 1);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorIllegalAddress);
  CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
  CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
  CHECK(set(x, n, 1, stream) == cudaErrorIllegalAddress);
  CHECK(cudaFree(x) == cudaErrorIllegalAddress);
  (void)cudaSetDevice(1);
  (void)cudaGetLastError();
  cudaStream_t other = make_stream();
  float* y = make_floats(n);
  CHECK(set(y, n, 1, other) == cudaSuccess);
  CHECK(fetch(y, n, other) == std::vector<float>(n, 1));
  CHECK(cudaStreamSynchronize(stream) == cudaErrorIllegalAddress);  // asked from the other device
  CHECK(cudaSetDevice(0) == cudaErrorIllegalAddress);
  CHECK(cudaSetDevice(1) == cudaSuccess);
}

TEST_CASE("errors of kernels and copies, 700, 716 and 719, surface in whatever call comes next, and in every one") {
  for (const cudaError_t code : {cudaErrorIllegalAddress, cudaErrorMisalignedAddress, cudaErrorLaunchFailure}) {
    for (const FaultKind kind : {FaultKind::launch, FaultKind::copy}) {
      begin();
      CAPTURE(static_cast<int>(code));
      CAPTURE(name_of(kind));
      cudaStream_t stream = make_stream();
      float* x = make_floats(n);
      inject({.kind = kind, .code = code});
      CHECK((kind == FaultKind::launch ? set(x, n, 1, stream) : cudaMemsetAsync(x, 0, 16, stream)) == cudaSuccess);
      CHECK(cudaGetLastError() == cudaSuccess);  // it has not run yet
      run_all();
      void* y = nullptr;
      cudaEvent_t event;
      CHECK(cudaMallocAsync(&y, 16, stream) == code);
      CHECK(cudaEventCreateWithFlags(&event, 0) == code);
      CHECK(cudaStreamSynchronize(stream) == code);
      CHECK(cudaMemsetAsync(x, 0, 16, stream) == code);
      CHECK(cudaGetLastError() == code);
      CHECK(cudaGetLastError() == code);
    }
  }
  for (const FaultKind kind : {FaultKind::malloc, FaultKind::host_alloc, FaultKind::event}) {
    begin();
    CAPTURE(name_of(kind));
    void* x = nullptr;
    cudaEvent_t event;
    const auto call = [&] {
      return kind == FaultKind::malloc       ? cudaMalloc(&x, 16)
             : kind == FaultKind::host_alloc ? cudaHostAlloc(&x, 16, 0)
                                             : cudaEventCreateWithFlags(&event, 0);
    };
    inject({.kind = kind, .code = cudaErrorIllegalAddress});
    CHECK(call() == cudaErrorIllegalAddress);
    CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
  }
}

TEST_CASE("plain errors, 2 and 9, are remembered until asked for, once, and cost nothing") {
  begin();
  cudaStream_t stream = make_stream();
  float* x = make_floats(n);
  inject({.kind = FaultKind::malloc, .count = 2, .code = cudaErrorMemoryAllocation});
  void* y = nullptr;
  CHECK(cudaMalloc(&y, 16) == cudaErrorMemoryAllocation);
  CHECK(cudaMallocAsync(&y, 16, stream) == cudaErrorMemoryAllocation);
  CHECK(cudaMallocAsync(&y, 16, stream) == cudaSuccess);
  CHECK(fired(FaultKind::malloc) == 2);
  CHECK(cudaPeekAtLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaSuccess);
  inject({.kind = FaultKind::launch, .code = cudaErrorInvalidConfiguration});
  CHECK(set(x, n, 1, stream) == cudaErrorInvalidConfiguration);  // launch_kernel has asked for it
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(set(x, n, 2, stream) == cudaSuccess);
  CHECK(fetch(x, n, stream) == std::vector<float>(n, 2));
  CHECK(take_reports().empty());
}

TEST_CASE("a lost device takes its queued work and memory along, and nobody is blamed for what is read of it") {
  begin();
  cudaStream_t stream = make_stream();
  float* x = make_floats(n);
  (void)set(x, n, 5, stream);  // will never run
  cudaEvent_t event;
  REQUIRE(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
  (void)cudaEventRecord(event, stream);
  inject({.kind = FaultKind::device_lost, .device = 0, .code = cudaErrorECCUncorrectable});
  CHECK(cudaDeviceSynchronize() == cudaErrorECCUncorrectable);
  CHECK(fired(FaultKind::device_lost) == 1);
  (void)cudaSetDevice(1);
  (void)cudaGetLastError();
  cudaStream_t other = make_stream();
  float *y = make_floats(n), *z = make_floats(n);
  (void)cudaStreamWaitEvent(other, event, 0);
  CHECK(cudaMemcpyPeerAsync(y, 1, x, 0, n * sizeof(float), other) == cudaSuccess);
  CHECK(mutants::add_one(y, z, n, other) == cudaSuccess);
  CHECK(cudaStreamSynchronize(other) == cudaSuccess);
  CHECK(set(z, n, 1, other) == cudaSuccess);
  CHECK(fetch(z, n, other) == std::vector<float>(n, 1));
  CHECK(take_reports().empty());
}

TEST_CASE("memory is named by who made it, and by who wrote it since") {
  begin();
  cudaStream_t stream = make_stream();
  float* x = make_floats(n);
  CHECK(describe(x + 1) == "cuda:0 allocation #1 (256 bytes), +0x4");
  (void)set(x, n, 1, stream);
  (void)cudaStreamSynchronize(stream);
  CHECK(describe(x + 16) == "cuda:0 allocation #1 (256 bytes, made by set), +0x40");
  float* y = make_floats(n);
  (void)mutants::add_one(x, y, n, stream);
  (void)set(y, n, 1, stream);
  (void)cudaStreamSynchronize(stream);
  CHECK(describe(y) == "cuda:0 allocation #2 (256 bytes, made by add_one, last written by set), +0x0");
  CHECK(cudaFree(y) == cudaSuccess);
  CHECK(describe(y) == "cuda:0 allocation #2 (256 bytes, made by add_one), +0x0, which has been freed");
}

TEST_CASE("a plain error is delivered once and the device goes on") {
  begin();
  cudaStream_t stream = make_stream();
  float* x = make_floats(n);
  inject({.kind = FaultKind::launch, .nth = 1, .code = cudaErrorLaunchOutOfResources});
  CHECK(set(x, n, 1, stream) == cudaSuccess);
  CHECK(set(x, n, 2, stream) == cudaErrorLaunchOutOfResources);
  CHECK(set(x, n, 3, stream) == cudaSuccess);
  CHECK(fetch(x, n, stream) == std::vector<float>(n, 3));
}

TEST_CASE("every kind of fault fires where it should, once, and is counted") {
  struct Row {
    FaultKind kind;
    cudaError_t (*call)();
    cudaError_t code;
  };
  const Row rows[] = {
      {FaultKind::malloc,
       [] {
         void* x;
         return cudaMalloc(&x, 16);
       },
       cudaErrorMemoryAllocation},
      {FaultKind::malloc,
       [] {
         void* x;
         return cudaMallocAsync(&x, 16, make_stream());
       },
       cudaErrorMemoryAllocation},
      {FaultKind::host_alloc,
       [] {
         void* x;
         return cudaHostAlloc(&x, 16, 0);
       },
       cudaErrorMemoryAllocation},
      {FaultKind::launch, [] { return idle(dim3(1), dim3(32), 0, make_stream()); }, cudaErrorInvalidConfiguration},
      {FaultKind::copy, [] { return cudaMemsetAsync(make_floats(4), 0, 16, make_stream()); }, cudaErrorInvalidValue},
      {FaultKind::event,
       [] {
         cudaEvent_t event;
         return cudaEventCreateWithFlags(&event, 0);
       },
       cudaErrorUnknown},
      {FaultKind::device_lost, [] { return cudaDeviceSynchronize(); }, cudaErrorECCUncorrectable},
  };
  for (const Row& row : rows) {
    begin();
    CAPTURE(static_cast<int>(row.kind));
    inject({.kind = row.kind, .code = row.code});
    CHECK(row.call() == row.code);
    CHECK(fired(row.kind) == 1);
    CHECK(consulted(row.kind) >= 1);
    (void)cudaGetLastError();
    CHECK(row.call() == (row.kind == FaultKind::device_lost ? row.code : cudaSuccess));
    CHECK(fired(row.kind) == 1);
  }
  begin();
  inject({.kind = FaultKind::cublas, .device = 2, .probability = 0.5, .code = 7});
  int codes = 0;
  for (int i = 0; i < 100; ++i) {
    CHECK(consult_fault(FaultKind::cublas, 1) == 0);
    codes += consult_fault(FaultKind::cublas, 2) == 7;
  }
  CHECK(codes > 20);
  CHECK(codes < 80);
  CHECK(fired(FaultKind::cublas) == codes);
}

TEST_CASE("peers: enabled once, refused where the machine has none; pools say whom they let in") {
  begin();
  int possible = 0;
  CHECK(cudaDeviceCanAccessPeer(&possible, 0, 1) == cudaSuccess);
  CHECK(possible == 1);
  CHECK(cudaDeviceEnablePeerAccess(1, 0) == cudaSuccess);
  CHECK(cudaDeviceEnablePeerAccess(1, 0) == cudaErrorPeerAccessAlreadyEnabled);
  set_peer_access(false);
  CHECK(cudaDeviceCanAccessPeer(&possible, 0, 2) == cudaSuccess);
  CHECK(possible == 0);
  CHECK(cudaDeviceEnablePeerAccess(2, 0) == cudaErrorPeerAccessUnsupported);
  cudaMemPool_t pool;
  (void)cudaDeviceGetDefaultMemPool(&pool, 0);
  const cudaMemAccessDesc desc = {{cudaMemLocationTypeDevice, 2}, cudaMemAccessFlagsProtReadWrite};
  CHECK(cudaMemPoolSetAccess(pool, &desc, 1) == cudaErrorInvalidDevice);
  set_peer_access(true);
  CHECK(cudaMemPoolSetAccess(pool, &desc, 1) == cudaSuccess);
}

TEST_CASE("copies between devices, by rows, and what pointers are") {
  begin();
  cudaStream_t stream = make_stream();
  float* x = make_floats(n);
  (void)set(x, n, 5, stream);
  (void)cudaSetDevice(1);
  float* y = make_floats(n);
  (void)cudaSetDevice(0);
  CHECK(cudaMemcpyPeerAsync(y, 1, x, 0, n * sizeof(float), stream) == cudaSuccess);
  CHECK(cudaMemcpyPeerAsync(y, 0, x, 1, n * sizeof(float), stream) == cudaErrorInvalidValue);
  CHECK(contains(take_reports(), "cudaMemcpyPeerAsync: the devices given"));
  std::vector<float> rows(16, 0);
  CHECK(cudaMemcpy2DAsync(rows.data(), 16, y, 32, 8, 4, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
  for (int i = 0; i < 16; ++i) CHECK(rows[i] == (i % 4 < 2 ? 5.0f : 0.0f));
  cudaPointerAttributes attributes;
  CHECK(cudaPointerGetAttributes(&attributes, y + 3) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeDevice);
  CHECK(attributes.device == 1);
  CHECK(cudaPointerGetAttributes(&attributes, rows.data()) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeUnregistered);
  CHECK(cudaHostRegister(rows.data(), 64, 0) == cudaSuccess);
  CHECK(cudaPointerGetAttributes(&attributes, rows.data() + 1) == cudaSuccess);
  CHECK(attributes.type == cudaMemoryTypeHost);
  CHECK(cudaHostUnregister(rows.data()) == cudaSuccess);
  CHECK(take_reports().empty());
  CHECK(pointer_device(y) == 1);
  CHECK(describe(x) == "cuda:0 allocation #1 (256 bytes, made by set), +0x0");
}

TEST_CASE("names and texts of errors") {
  CHECK(std::strcmp(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress") == 0);
  CHECK(std::strcmp(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory") == 0);
}

}  // namespace
}  // namespace weft::sim
