// Host waits that look after collectives. A wait that blocks cannot notice a rank that is gone; so while a collective
// is under way the host asks, and looks between two questions at what became of it.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>

namespace weft::cuda {

using WaitClock = std::chrono::steady_clock;

/// Who knows of the collectives (NCCL); without one a wait is the runtime's own.
class CollectiveWatch {
 public:
  virtual ~CollectiveWatch() = default;
  /// Whether a collective that includes the device (-1: any) may still run. Cheap while none does.
  virtual bool is_busy(int device) noexcept = 0;
  /// Gives up collectives that failed, or did not end within the deadline since `wait_began`. Throws CommError if the
  /// device is kept busy by one that could not be given up.
  virtual void look(int device, WaitClock::time_point wait_began) = 0;
  /// Throws CommError, once in each thread, if a collective of the device was given up: what it wrote is no result.
  virtual void deliver(int device) = 0;
};
void set_collective_watch(CollectiveWatch* watch) noexcept;
CollectiveWatch* collective_watch() noexcept;

/// cudaStreamSynchronize and cudaEventSynchronize; the device is the current one. Throw CommError.
cudaError_t wait_for(cudaStream_t stream, int device);
cudaError_t wait_for(cudaEvent_t event, int device);
/// Until no collective of the device is under way; another thread may launch one meanwhile, see QuietScope. Throws
/// CommError.
void wait_for_collectives(int device);

/// Between two questions: soon at first, then less often.
class Patience {
 public:
  void wait();

 private:
  int questions_ = 0;
};

}  // namespace weft::cuda
