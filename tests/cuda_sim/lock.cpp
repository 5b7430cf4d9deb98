#include "lock.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>

#include "memory/region.h"
#include "memory/shadow.h"
#include "runtime/device.h"

namespace weft::sim {
namespace {

std::recursive_mutex mutex;
std::condition_variable_any call_ended;
uint64_t calls = 0;

void start_once() {
  static bool started = false;
  if (started) return;
  started = true;
  start_region();
  start_shadow();
  start_devices();
}

}  // namespace

Lock::Lock() : guard_(mutex) { start_once(); }

Lock::~Lock() {
  ++calls;
  call_ended.notify_all();
}

void unlocked(const std::function<void()>& work) {
  mutex.unlock();
  work();
  mutex.lock();
}

bool wait_for_other_threads(double seconds) {
  std::unique_lock<std::recursive_mutex> lock(mutex, std::adopt_lock);
  const uint64_t before = calls;
  const bool ended = call_ended.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return calls != before; });
  lock.release();
  return ended;
}

}  // namespace weft::sim
