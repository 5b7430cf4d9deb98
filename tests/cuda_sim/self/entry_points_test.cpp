// Every entry point asks the plan of faults: with one planned it fails, and the fault is counted. entry_points_test.py
// sees to it that none is left out here.
#include <cublas_v2.h>
#include <cudnn_graph.h>
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "../mutants/kernels.h"
#include "sim.h"
#include "support.h"

namespace weft::sim {
namespace {

// One of everything, on cuda:0.
struct World {
  cudaStream_t stream = nullptr;
  cudaEvent_t start = nullptr, end = nullptr;
  cudaMemPool_t pool = nullptr, devices_pool = nullptr;
  void *device = nullptr, *pooled = nullptr, *pinned = nullptr, *out = nullptr;
  cublasHandle_t blas = nullptr;
  cudnnHandle_t dnn = nullptr;
  cudnnBackendDescriptor_t fresh = nullptr, made = nullptr;
  std::vector<char> host = std::vector<char>(64);
  cudaMemAccessDesc access = {{cudaMemLocationTypeDevice, 1}, cudaMemAccessFlagsProtReadWrite};
  cudaMemLocation place = {cudaMemLocationTypeDevice, 0};
  cudaMemAccessFlags flags = cudaMemAccessFlagsProtNone;
  cudaMemPoolProps props = {};
  cudaDeviceProp properties = {};
  cudaPointerAttributes attributes = {};
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  uint64_t bytes = 0;
  int64_t count = 0;
  size_t free = 0, total = 0;
  int number = 0;
  unsigned word = 0;
  float f = 1;

  World() {
    set_schedule({.seed = first_seed()});
    reset();
    props.allocType = cudaMemAllocationTypePinned;
    props.location = place;
    stream = make_stream();
    (void)cudaMalloc(&device, 4096);
    (void)cudaMemPoolCreate(&pool, &props);
    (void)cudaDeviceGetDefaultMemPool(&devices_pool, 0);
    (void)cudaMallocAsync(&pooled, 4096, stream);
    (void)cudaHostAlloc(&pinned, 64, 0);
    (void)cudaEventCreate(&start);
    (void)cudaEventCreate(&end);
    (void)cudaEventRecord(start, stream);
    (void)cudaEventRecord(end, stream);
    (void)cublasCreate(&blas);
    (void)cublasSetStream(blas, stream);
    (void)cublasSetWorkspace(blas, device, 1 << 16);
    (void)cudnnCreate(&dnn);
    (void)cudnnSetStream(dnn, stream);
    (void)cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &fresh);
    (void)cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &made);
    (void)cudaStreamSynchronize(stream);
    clear_faults();
  }
};

int code_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::release:
      return cudaErrorIllegalAddress;
    case FaultKind::cublas:
    case FaultKind::cublas_setup:
      return CUBLAS_STATUS_INTERNAL_ERROR;
    case FaultKind::cudnn:
    case FaultKind::cudnn_setup:
      return CUDNN_STATUS_INTERNAL_ERROR;
    default:
      return cudaErrorUnknown;
  }
}

struct Row {
  const char* name;
  FaultKind kind;
  int (*call)(World& w);
};

#define CALL(name, ...) [](World& w) { return static_cast<void>(w), static_cast<int>(name(__VA_ARGS__)); }
#define ROW(kind, name, ...) \
  Row { #name, FaultKind::kind, CALL(name, __VA_ARGS__) }

const Row rows[] = {
    ROW(query, cudaGetDeviceCount, &w.number),
    ROW(query, cudaDriverGetVersion, &w.number),
    ROW(query, cudaRuntimeGetVersion, &w.number),
    ROW(select, cudaSetDevice, w.number),
    ROW(select, cudaGetDevice, &w.number),
    ROW(setup, cudaGetDeviceProperties, &w.properties, 0),
    ROW(setup, cudaDeviceGetAttribute, &w.number, cudaDevAttrWarpSize, 0),
    ROW(setup, cudaDeviceCanAccessPeer, &w.number, 0, 1),
    ROW(setup, cudaDeviceEnablePeerAccess, 1, 0),
    ROW(setup, cudaDeviceDisablePeerAccess, 1),
    ROW(setup, cudaFuncSetAttribute, mutants::idle_kernel_address, cudaFuncAttributeMaxDynamicSharedMemorySize, 65536),

    ROW(malloc, cudaMalloc, &w.out, 16),
    ROW(malloc, cudaMallocAsync, &w.out, 16, w.stream),
    ROW(malloc, cudaMallocFromPoolAsync, &w.out, 16, w.pool, w.stream),
    ROW(host_alloc, cudaHostAlloc, &w.out, 16, 0),
    ROW(host_alloc, cudaMallocHost, &w.out, 16),
    ROW(host_alloc, cudaHostRegister, w.host.data(), 64, 0),
    ROW(release, cudaFree, w.device),
    ROW(release, cudaFreeAsync, w.pooled, w.stream),
    ROW(release, cudaFreeHost, w.pinned),
    ROW(release, cudaHostUnregister, w.host.data()),
    ROW(query, cudaHostGetDevicePointer, &w.out, w.pinned, 0),
    ROW(query, cudaMemGetInfo, &w.free, &w.total),
    ROW(query, cudaPointerGetAttributes, &w.attributes, w.device),

    ROW(query, cudaDeviceGetDefaultMemPool, &w.pool, 0),
    ROW(query, cudaDeviceGetMemPool, &w.pool, 0),
    ROW(setup, cudaDeviceSetMemPool, 0, w.pool),
    ROW(setup, cudaMemPoolCreate, &w.pool, &w.props),
    ROW(release, cudaMemPoolDestroy, w.pool),
    ROW(release, cudaMemPoolTrimTo, w.pool, 0),
    ROW(setup, cudaMemPoolSetAttribute, w.pool, cudaMemPoolAttrReleaseThreshold, &w.bytes),
    ROW(query, cudaMemPoolGetAttribute, w.pool, cudaMemPoolAttrReleaseThreshold, &w.bytes),
    ROW(setup, cudaMemPoolSetAccess, w.pool, &w.access, 1),
    ROW(query, cudaMemPoolGetAccess, &w.flags, w.pool, &w.place),

    ROW(copy, cudaMemcpyAsync, w.pinned, w.device, 16, cudaMemcpyDeviceToHost, w.stream),
    ROW(copy, cudaMemcpyPeerAsync, w.device, 0, w.pooled, 0, 16, w.stream),
    ROW(copy, cudaMemcpy2DAsync, w.device, 16, w.pooled, 16, 8, 2, cudaMemcpyDeviceToDevice, w.stream),
    ROW(copy, cudaMemcpy, w.pinned, w.device, 16, cudaMemcpyDeviceToHost),
    ROW(copy, cudaMemsetAsync, w.device, 0, 16, w.stream),
    ROW(copy, cudaMemset, w.device, 0, 16),

    ROW(setup, cudaStreamCreate, &w.stream),
    ROW(setup, cudaStreamCreateWithFlags, &w.stream, cudaStreamNonBlocking),
    ROW(setup, cudaStreamCreateWithPriority, &w.stream, cudaStreamNonBlocking, 0),
    ROW(query, cudaDeviceGetStreamPriorityRange, &w.number, &w.number),
    ROW(release, cudaStreamDestroy, w.stream),
    ROW(wait, cudaStreamSynchronize, w.stream),
    ROW(wait, cudaDeviceSynchronize),
    ROW(query, cudaStreamQuery, w.stream),
    ROW(query, cudaStreamGetFlags, w.stream, &w.word),
    ROW(query, cudaStreamIsCapturing, w.stream, &w.capture),
    ROW(
        launch, cudaLaunchHostFunc, w.stream, [](void*) {}, nullptr),
    ROW(launch, mutants::idle, dim3(1), dim3(32), 0, w.stream),
    ROW(event, cudaStreamWaitEvent, w.stream, w.start, 0),
    ROW(event, cudaEventCreate, &w.start),
    ROW(event, cudaEventCreateWithFlags, &w.start, cudaEventDisableTiming),
    ROW(event, cudaEventRecord, w.start, w.stream),
    ROW(release, cudaEventDestroy, w.start),
    ROW(wait, cudaEventSynchronize, w.start),
    ROW(query, cudaEventQuery, w.start),
    ROW(query, cudaEventElapsedTime, &w.f, w.start, w.end),

    ROW(cublas, cublasCreate, &w.blas),
    ROW(release, cublasDestroy, w.blas),
    ROW(cublas_setup, cublasSetStream, w.blas, w.stream),
    ROW(cublas_setup, cublasSetWorkspace, w.blas, w.device, 1 << 16),
    ROW(cublas_setup, cublasSetMathMode, w.blas, CUBLAS_DEFAULT_MATH),
    ROW(cublas, cublasGemmEx_64, w.blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &w.f, w.device, CUDA_R_32F, 1, w.device,
        CUDA_R_32F, 1, &w.f, w.device, CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
    ROW(cublas, cublasGemmStridedBatchedEx_64, w.blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &w.f, w.device, CUDA_R_32F, 1,
        1, w.device, CUDA_R_32F, 1, 1, &w.f, w.device, CUDA_R_32F, 1, 1, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),

    ROW(cudnn, cudnnCreate, &w.dnn),
    ROW(release, cudnnDestroy, w.dnn),
    ROW(cudnn_setup, cudnnSetStream, w.dnn, w.stream),
    ROW(cudnn_setup, cudnnBackendCreateDescriptor, CUDNN_BACKEND_TENSOR_DESCRIPTOR, &w.made),
    ROW(release, cudnnBackendDestroyDescriptor, w.made),
    ROW(cudnn_setup, cudnnBackendFinalize, w.made),
    ROW(cudnn_setup, cudnnBackendSetAttribute, w.made, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &w.count),
    ROW(cudnn_setup, cudnnBackendGetAttribute, w.made, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &w.count,
        &w.count),
    ROW(cudnn, cudnnBackendExecute, w.dnn, w.made, w.fresh),
};

TEST_CASE("every entry point of the runtime, cuBLAS and cuDNN asks the plan of faults") {
  for (const Row& row : rows) {
    World w;
    CAPTURE(std::string(row.name));
    inject({.kind = row.kind, .code = code_of(row.kind)});
    CHECK(row.call(w) != 0);
    CHECK(fired(row.kind) == 1);
    CHECK(consulted(row.kind, 0) >= 1);
    CHECK(take_reports().empty());
  }
  reset();
}

TEST_CASE("what gives something back fails only with a device that is lost") {
  World w;
  CHECK_THROWS_AS(inject({.kind = FaultKind::release, .code = cudaErrorUnknown}), std::invalid_argument);
  inject({.kind = FaultKind::release, .code = cudaErrorIllegalAddress});
  CHECK(cudaFreeAsync(w.pooled, w.stream) == cudaErrorIllegalAddress);
  CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
  reset();
}

}  // namespace
}  // namespace weft::sim
