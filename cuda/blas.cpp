#include "weft/cuda/blas.h"

#include "weft/cuda/handle.h"
#include "weft/cuda/leased.h"
#include "weft/tensor/backend.h"
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
    check(cublasCreate(handle.out()), "cuBLAS: create");
    constexpr int mode = CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
    check(cublasSetMathMode(handle.raw(), static_cast<cublasMath_t>(mode)), "cuBLAS: math mode");
  }
};

}  // namespace

BlasScope::BlasScope(Stream stream, const char* operation) : device_(stream.device.index), stream_(stream) {
  Blas& blas = leased<Blas>(stream.device.index);
  handle_ = blas.handle.raw();
  bytes_ = blas.workspace;
  check(cublasSetStream(handle_, native(stream)), operation);
  workspace_ = backend(DeviceType::cuda).allocate(bytes_, stream);
  // After the stream: setting that puts cuBLAS's own workspace back, which calls on all streams share.
  const cublasStatus_t status = cublasSetWorkspace(handle_, workspace_, bytes_);
  if (status == CUBLAS_STATUS_SUCCESS) return;
  backend(DeviceType::cuda).deallocate(workspace_, bytes_, stream);
  raise(status, operation);
}

BlasScope::~BlasScope() { backend(DeviceType::cuda).deallocate(workspace_, bytes_, stream_); }

void raise(cublasStatus_t status, const char* operation) {
  if (status == CUBLAS_STATUS_ALLOC_FAILED)
    fail<OutOfMemory>(operation, ": cuBLAS is out of memory; reduce the batch or call empty_cache()");
  // A fault of an earlier kernel surfaces in whatever call comes next: the runtime knows better what happened.
  check(cudaGetLastError(), operation);
  fail(operation, ": cuBLAS failed with ", cublasGetStatusName(status), " (", cublasGetStatusString(status), ")");
}

}  // namespace weft::cuda
