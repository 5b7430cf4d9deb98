// NCCL: check() for its status, its element types, and a group of calls.
#pragma once

#include <nccl.h>

#include <string>

#include "weft/tensor/device.h"
#include "weft/tensor/dtype.h"

namespace weft::cuda {

/// Throws for a failed call: OutOfMemory and DeviceLost where CUDA says so, else CommError
/// `<operation>: NCCL failed on cuda:1 with 3 (internal error)`, with NCCL's last words.
[[noreturn]] void raise(ncclResult_t status, const std::string& operation, Device device, ncclComm_t comm);
/// Throws the error that is being handled again, of the same class, with `more` behind its text. What is no Error goes
/// on as it is.
[[noreturn]] void rethrow_with(const std::string& more);
/// A call that is still in progress is no failure: who made it asks for the end (ncclCommGetAsyncError).
inline void check(ncclResult_t status, const std::string& operation, Device device, ncclComm_t comm = nullptr) {
  if (status != ncclSuccess && status != ncclInProgress) [[unlikely]]
    raise(status, operation, device, comm);
}

/// bool travels as u8.
ncclDataType_t nccl_type(DType dtype) noexcept;

/// The calls of one thread for several ranks as one: none waits for another before all are made.
class NcclGroup {
 public:
  NcclGroup(const std::string& operation, Device device);
  /// Ends a group that was left by an exception.
  ~NcclGroup();
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;
  /// Starts everything.
  void end();

 private:
  const std::string& operation_;
  Device device_;  // that errors speak of
  bool open_ = true;
};

}  // namespace weft::cuda
