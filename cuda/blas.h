// cuBLAS: check() for its status, and its handle made ready for one call on a stream.
#pragma once

#include <cublas_v2.h>

#include <cstdint>

#include "weft/cuda/check.h"
#include "weft/cuda/memory_lock.h"
#include "weft/cuda/stream.h"
#include "weft/cuda/workspace.h"

namespace weft::cuda {

/// Throws for a failed call: OutOfMemory if memory ran out, else Error `matmul: cuBLAS failed with CUBLAS_STATUS_…`.
[[noreturn]] void raise(cublasStatus_t status, const char* operation);
inline void check(cublasStatus_t status, const char* operation) {
  if (status != CUBLAS_STATUS_SUCCESS) [[unlikely]]
    raise(status, operation);
}

/// This thread's handle of the stream's device, on that stream, until the end of the scope: host scalars, no atomics,
/// sums of 16-bit products in f32, and a workspace of the stream's own, fit for `work` multiply-adds. So a product has
/// the same bits every time, whatever other streams do. The device is the current one meanwhile, and no collective is
/// launched: kernels of a call may have to be loaded.
class BlasScope {
 public:
  BlasScope(Stream stream, const char* operation, int64_t work);

  cublasHandle_t handle() const { return handle_; }

 private:
  DeviceScope device_;
  Workspace workspace_;
  cublasHandle_t handle_;
  MemoryScope memory_;
};

}  // namespace weft::cuda
