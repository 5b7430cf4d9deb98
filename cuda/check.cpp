#include "weft/cuda/check.h"

#include <array>
#include <atomic>
#include <string>

#include "weft/cuda/context.h"
#include "weft/tensor/error.h"
#include "weft/tensor/untold.h"

namespace weft::cuda {

namespace {

constexpr int kept_operations = 4;
constexpr int max_devices = 64;

// A ring of literals per device. Writers of several threads may interleave: the names stay valid, and order is a hint.
struct Ring {
  std::atomic<uint32_t> next{0};
  std::array<std::atomic<const char*>, kept_operations> names = {};
};
constinit std::array<Ring, max_devices> rings = {};

// The contexts of devices that this thread knows to be lost.
thread_local std::array<const Context*, max_devices> known_lost = {};

int failing_device() noexcept {
  int index = active_device();
  if (index < 0) index = cudaGetDevice(&index) == cudaSuccess ? index : 0;
  return index;
}

}  // namespace

std::string last_operations(int device) {
  const Ring& ring = rings[static_cast<size_t>(device) % max_devices];
  const uint32_t end = ring.next.load(std::memory_order_acquire);
  std::string text;
  for (uint32_t back = 1; back <= kept_operations; ++back) {
    const char* name = ring.names[(end - back) % kept_operations].load(std::memory_order_relaxed);
    if (!name) break;
    text += text.empty() ? "" : ", ";
    text += name;
  }
  return text.empty() ? "none" : text;
}

bool is_sticky(cudaError_t status) noexcept {
  switch (status) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorContextIsDestroyed:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorExternalDevice:
      return true;
    default:
      return false;
  }
}

bool was_told_lost(int device) noexcept {
  const Context* known = known_lost[static_cast<size_t>(device) % max_devices];
  return known && known == Context::if_used(device);
}

void note_operation(int device, const char* operation) noexcept {
  Ring& ring = rings[static_cast<size_t>(device) % max_devices];
  const uint32_t slot = ring.next.fetch_add(1, std::memory_order_acq_rel);
  ring.names[slot % kept_operations].store(operation, std::memory_order_relaxed);
}

void raise(cudaError_t status, const char* operation) { raise(status, operation, failing_device()); }

void raise(cudaError_t status, const char* operation, int index) {
  static_cast<void>(cudaGetLastError());
  const int code = static_cast<int>(status);
  const char* text = cudaGetErrorString(status);
  const Device device(DeviceType::cuda, index);
  if (is_sticky(status)) {
    if (!weft::detail::is_untold(weft::detail::Caught::lost_devices))
      known_lost[static_cast<size_t>(device.index) % max_devices] = Context::if_used(device.index);
    fail<DeviceLost>(operation, ": ", device, " is lost: CUDA error ", code, " (", text,
                     "); its last operations, newest first: ", last_operations(device.index),
                     "; save on the other devices and restart the process");
  }
  if (status == cudaErrorMemoryAllocation)
    fail<OutOfMemory>(operation, ": ", device, " is out of memory; reduce the batch or call empty_cache()");
  if (status == cudaErrorInvalidDevice || status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver)
    fail<DeviceError>(operation, ": CUDA error ", code, " (", text, ") on ", device,
                      "; ask device_count() for what is there");
  fail<Error>(operation, ": CUDA error ", code, " (", text, ") on ", device,
              "; the device is not lost: try again, and restart the process if it stays");
}

}  // namespace weft::cuda
