#include "weft/parallel/worker.h"

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <system_error>

#include "weft/tensor/deadline.h"
#include "weft/tensor/error.h"
#include "weft/tensor/threads.h"

namespace weft::parallel {

namespace {
constinit thread_local bool in_worker = false;
}

struct Worker::State {
  std::mutex mutex;
  std::condition_variable changed;
  Tasks tasks;
  bool stop = false;
  bool ended = false;

  void loop(Device device, int threads) {
    in_worker = true;
    const DeviceGuard bound(device);
    set_num_threads(threads);
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return stop || !tasks.empty(); });
      if (stop) break;
      Tasks one;
      one.splice(one.begin(), tasks, tasks.begin());
      lock.unlock();
      one.front()();
      one.clear();  // what it holds goes without the lock
      lock.lock();
    }
    ended = true;
    changed.notify_all();
  }
};

Worker::Worker(Device device, int threads) : device_(device), state_(std::make_shared<State>()) {
  check_exists(device);
  try {
    thread_ = std::thread([state = state_, device, threads] { state->loop(device, threads); });
  } catch (const std::system_error& error) {
    fail<Error>("parallel: a worker thread for ", device, " could not be started: ", error.what(),
                "; use fewer devices or raise the limit on threads");
  }
}

Worker::~Worker() {
  Tasks dropped;
  bool ended = false;
  {
    std::unique_lock lock(state_->mutex);
    state_->stop = true;
    dropped.swap(state_->tasks);
    state_->changed.notify_all();
    const bool self = thread_.get_id() == std::this_thread::get_id();
    ended =
        !self && state_->changed.wait_for(lock, weft::detail::to_chrono(patience), [this] { return state_->ended; });
    if (!ended && !self)
      std::fprintf(stderr, "weft: the worker of %s is still busy after %g s and is left to itself\n",
                   to_string(device_).c_str(), patience.count());
  }
  if (ended)
    thread_.join();
  else
    thread_.detach();
}

void Worker::queue(Tasks tasks) noexcept {
  const std::lock_guard lock(state_->mutex);
  state_->tasks.splice(state_->tasks.end(), tasks);
  state_->changed.notify_all();
}

bool Worker::is_current() noexcept { return in_worker; }

}  // namespace weft::parallel
