#include "status.h"

#include <algorithm>

namespace weft::sim {
namespace {

cudaError_t lost[max_devices];
thread_local cudaError_t last = cudaSuccess;

bool exiting = false;
struct AtExit {
  ~AtExit() { exiting = true; }
} at_exit;

}  // namespace

bool is_sticky(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorContextIsDestroyed:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorExternalDevice:
      return true;
    default:
      return false;
  }
}

void lose_device(int device, cudaError_t status) {
  if (lost[device] == cudaSuccess) lost[device] = status;
}

cudaError_t sticky_error(int device) { return lost[device]; }

bool any_device_lost() {
  return std::any_of(std::begin(lost), std::end(lost), [](cudaError_t status) { return status != cudaSuccess; });
}

void forget_lost_devices() {
  for (cudaError_t& status : lost) status = cudaSuccess;
  last = cudaSuccess;
}

cudaError_t remember(cudaError_t status) {
  if (status != cudaSuccess) last = status;
  return status;
}

cudaError_t last_error(bool clear) {
  const cudaError_t sticky = lost[current_device()];
  const cudaError_t status = sticky != cudaSuccess ? sticky : last;
  if (clear) last = cudaSuccess;
  return status;
}

bool unloading() { return exiting; }

cudaError_t check_current_device() {
  if (device_count() == 0) return no_driver;
  const int device = current_device();
  if (auto code = planned_fault(FaultKind::device_lost, device)) lose_device(device, *code);
  return sticky_error(device);
}

}  // namespace weft::sim
