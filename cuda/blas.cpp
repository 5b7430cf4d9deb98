#include "weft/cuda/blas.h"

#include "weft/cuda/handle.h"
#include "weft/cuda/leased.h"
#include "weft/tensor/error.h"

namespace weft::cuda {

namespace {

struct Blas {
  Unique<cublasHandle_t, cublasDestroy> handle;
  size_t workspace;  // bytes

  explicit Blas(int index) {
    int major = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index), "cuBLAS");
    workspace = size_t{major >= 9 ? 32u : 4u} << 20;  // what NVIDIA recommends
    const MemoryScope memory(index);
    check(cublasCreate(handle.out()), "cuBLAS: create");
    constexpr int mode = CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
    check(cublasSetMathMode(handle.raw(), static_cast<cublasMath_t>(mode)), "cuBLAS: math mode");
  }
};

// A product that costs less than its launch gains nothing from being split; every routine runs with 16 KiB.
size_t workspace_for(int64_t work, int index) {
  constexpr int64_t small_work = int64_t{1} << 22;
  return work < small_work ? size_t{64} << 10 : leased<Blas>(index).workspace;
}

}  // namespace

BlasScope::BlasScope(Stream stream, const char* operation, int64_t work)
    : device_(stream.device.index),
      workspace_(workspace_for(work, stream.device.index), stream),
      handle_(leased<Blas>(stream.device.index).handle.raw()),
      memory_(stream.device.index) {
  check(cublasSetStream(handle_, native(stream)), operation);
  // After the stream: setting that puts cuBLAS's own workspace back, which calls on all streams share.
  check(cublasSetWorkspace(handle_, workspace_.data(), workspace_.bytes()), operation);
}

void raise(cublasStatus_t status, const char* operation) {
  if (status == CUBLAS_STATUS_ALLOC_FAILED)
    fail<OutOfMemory>(operation, ": cuBLAS is out of memory; reduce the batch or call empty_cache()");
  // A fault of an earlier kernel surfaces in whatever call comes next: the runtime knows better what happened. Its
  // other errors are what the library left behind on its way.
  if (const cudaError_t pending = cudaGetLastError(); is_sticky(pending)) raise(pending, operation);
  fail(operation, ": cuBLAS failed with ", cublasGetStatusName(status), " (", cublasGetStatusString(status), ")");
}

}  // namespace weft::cuda
