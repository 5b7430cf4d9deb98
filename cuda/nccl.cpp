#include "weft/cuda/nccl.h"

#include "weft/cuda/check.h"
#include "weft/cuda/stream.h"
#include "weft/tensor/group.h"

namespace weft::cuda {

void raise(ncclResult_t status, const std::string& operation, Device device, ncclComm_t comm) {
  // The runtime knows better what happened to a device or its memory; its other errors are what NCCL left behind.
  const DeviceScope scope(device.index);
  const cudaError_t pending = cudaGetLastError();
  if (is_sticky(pending)) raise(pending, operation.c_str());
  if (pending == cudaErrorMemoryAllocation)
    fail<OutOfMemory>(operation, ": NCCL is out of memory on ", device, "; reduce the batch or call empty_cache()");
  const char* words = comm ? ncclGetLastError(comm) : nullptr;
  fail<CommError>(operation, ": NCCL failed on ", device, " with ", static_cast<int>(status), " (",
                  ncclGetErrorString(status), words && *words ? std::string("): ") + words : ")");
}

void rethrow_with(const std::string& more) {
  try {
    throw;
  } catch (const CommError& error) {
    throw CommError(error.what() + more);
  } catch (const OutOfMemory& error) {
    throw OutOfMemory(error.what() + more);
  } catch (const DeviceLost& error) {
    throw DeviceLost(error.what() + more);
  } catch (const DeviceError& error) {
    throw DeviceError(error.what() + more);
  } catch (const Error& error) {
    throw Error(error.what() + more);
  }
}

ncclDataType_t nccl_type(DType dtype) noexcept {
  switch (dtype) {
    case DType::f32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
    case DType::f16:
      return ncclFloat16;
    case DType::bf16:
      return ncclBfloat16;
    case DType::i64:
      return ncclInt64;
    case DType::i32:
      return ncclInt32;
    case DType::u8:
    case DType::boolean:
      return ncclUint8;
  }
  return ncclUint8;
}

NcclGroup::NcclGroup(const std::string& operation, Device device) : operation_(operation), device_(device) {
  check(ncclGroupStart(), operation_, device_);
}
NcclGroup::~NcclGroup() {
  if (open_) static_cast<void>(ncclGroupEnd());
}
void NcclGroup::end() {
  open_ = false;
  check(ncclGroupEnd(), operation_, device_);
}

}  // namespace weft::cuda
