// Small kernels, each in a right and a wrong version: what the simulator must be silent about, and what it must report.
#pragma once

#include <cuda_runtime_api.h>

namespace weft::sim::mutants {

struct KernelCase {
  const char* name;
  void (*run)(bool wrong, cudaStream_t stream);
  const char* report;  // what the report of the wrong version begins with
  cudaError_t status;  // of the next synchronisation after it
};
extern const KernelCase kernel_cases[];
extern const int kernel_case_count;

/// y[i] = x[i] + 1 for i < n; the plain work of host cases.
cudaError_t add_one(const float* x, float* y, int n, cudaStream_t stream);
cudaError_t set(float* x, int n, float value, cudaStream_t stream);
/// A launch of n threads with that much dynamic shared memory that does nothing.
cudaError_t idle(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream);
extern const void* const idle_kernel_address;

}  // namespace weft::sim::mutants
