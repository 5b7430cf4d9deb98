// check(): the one way by which a failed call of CUDA or its libraries becomes an exception. It is overloaded by status
// type; the overloads for the libraries stand beside their adapters.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

namespace weft::cuda {

/// Throws for a failed call and clears the runtime's error, so that no later call reports it again:
/// OutOfMemory when memory is exhausted; DeviceLost, naming the device's last operations, when the device cannot be
/// used again in this process; DeviceError for a device that does not exist; else Error `relu: CUDA error 9 (…) on
/// cuda:0; …`.
[[noreturn]] void raise(cudaError_t status, const char* operation);
/// The same where it is not the current device that failed.
[[noreturn]] void raise(cudaError_t status, const char* operation, int device);

inline void check(cudaError_t status, const char* operation) {
  if (status != cudaSuccess) [[unlikely]]
    raise(status, operation);
}

/// True for errors after which every further call on the device fails: a fault in a kernel, an uncorrectable bit.
bool is_sticky(cudaError_t status) noexcept;
/// Whether this thread has been thrown a DeviceLost of the device.
bool was_told_lost(int device) noexcept;

/// "binary, copy, fill": the last few names that were remembered, newest first; "none" if there are none.
std::string last_operations(int device);
/// Remembers the name (a literal) as the device's latest operation, for DeviceLost.
void note_operation(int device, const char* operation) noexcept;

}  // namespace weft::cuda
