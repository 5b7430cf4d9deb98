// Worker: a thread bound to a device. Private to parallel/; users meet Workers and Parallel.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <thread>

#include "weft/tensor/device.h"
#include "weft/tensor/seconds.h"

namespace weft::parallel {

/// Runs tasks in the order they were queued.
class Worker {
 public:
  /// `threads`: cores that operations of this worker may use. Throws Error if the thread cannot be started.
  Worker(Device device, int threads);
  /// Drops what has not started and waits up to `patience` for what has; then reports on stderr and lets go of the
  /// thread.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  Device device() const { return device_; }
  /// Tasks in order; they must not throw. A list, so that what was made can be queued without fail.
  using Tasks = std::list<std::function<void()>>;
  /// Called by any thread.
  void queue(Tasks tasks) noexcept;

  /// True in a thread that belongs to a Worker.
  static bool is_current() noexcept;
  static constexpr Seconds patience = 30;

 private:
  struct State;  // owned by the thread too: it outlives a Worker that gave up waiting
  Device device_;
  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace weft::parallel
