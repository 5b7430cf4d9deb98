// How every entry point of the runtime begins and ends: the lock, errors that wait to be delivered, the thread's last
// error.
#pragma once

#include <cuda_runtime_api.h>

#include <optional>

#include "../lock.h"
#include "../sim.h"

namespace weft::sim {

/// Errors that end a device's context: every later call on the device returns them.
bool is_sticky(cudaError_t status);
void lose_device(int device, cudaError_t status);
/// cudaSuccess unless the device is lost.
cudaError_t sticky_error(int device);
/// After that, work that was queued on the device is dropped, and what others read of its memory has no meaning: nobody
/// is to blame for what they find there.
bool any_device_lost();
void forget_lost_devices();

/// Becomes the thread's last error unless it is cudaSuccess.
cudaError_t remember(cudaError_t status);
/// The thread's last error, which it forgets if `clear`.
cudaError_t last_error(bool clear);

/// True once the process's static objects are being destroyed: the runtime is gone then.
bool unloading();
/// Without devices the whole runtime answers this.
inline constexpr cudaError_t no_driver = cudaErrorInsufficientDriver;

/// What is wrong before the entry point has done anything: no driver, the current device lost (now, by the plan, or
/// before).
cudaError_t check_current_device();

/// The code that the plan wants instead of the work, if any; where the work is queued, a sticky one is for when it
/// runs.
inline std::optional<cudaError_t> planned_for_later(FaultKind kind, int device) {
  const int code = consult_fault(kind, device);
  return code == 0 ? std::nullopt : std::optional(static_cast<cudaError_t>(code));
}
/// The same for work that is done by the call: a sticky code loses the device now.
inline std::optional<cudaError_t> planned_fault(FaultKind kind, int device) {
  const auto code = planned_for_later(kind, device);
  if (code && is_sticky(*code)) lose_device(device, *code);
  return code;
}

/// An entry point that works on the current device.
template <class Work>
cudaError_t entry(Work work) {
  if (unloading()) return cudaErrorCudartUnloading;
  Lock lock;
  if (const cudaError_t status = check_current_device(); status != cudaSuccess) return remember(status);
  const cudaError_t status = work();
  // What ran meanwhile may have lost the device.
  const cudaError_t sticky = sticky_error(current_device());
  return remember(sticky != cudaSuccess ? sticky : status);
}

/// An entry point that answers whatever the state of the devices.
template <class Work>
cudaError_t query_entry(Work work) {
  if (unloading()) return cudaErrorCudartUnloading;
  Lock lock;
  return remember(device_count() == 0 ? no_driver : work());
}

/// Both for calls that the plan may fail whatever they do.
template <class Work>
cudaError_t entry(FaultKind kind, Work work) {
  return entry([&] {
    const auto code = planned_fault(kind, current_device());
    return code ? *code : work();
  });
}
template <class Work>
cudaError_t query_entry(FaultKind kind, int device, Work work) {
  return query_entry([&] {
    const bool exists = device >= 0 && device < device_count();
    const auto code = planned_fault(kind, exists ? device : current_device());
    return code ? *code : work();
  });
}

/// Whether a call of a library that gives something back fails, the device being lost.
inline bool release_fails(int device) { return planned_fault(FaultKind::release, device).has_value(); }

}  // namespace weft::sim
