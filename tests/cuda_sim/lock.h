// One thread at a time: every entry point of the simulator begins with a Lock.
#pragma once

#include <functional>
#include <mutex>

namespace weft::sim {

/// Starts the simulator on first use; lets waiting threads look again when it ends.
class Lock {
 public:
  Lock();
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  std::lock_guard<std::recursive_mutex> guard_;
};

/// Runs `work` with other threads let in. The calling thread must hold exactly one Lock.
void unlocked(const std::function<void()>& work);
/// Lets other threads in until one has finished a call into the simulator; false if none did for `seconds`.
bool wait_for_other_threads(double seconds);

}  // namespace weft::sim
