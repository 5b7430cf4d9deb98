#include "weft/parallel/workers.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>
#include <system_error>

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
      one.clear();  // what it holds goes before the next wait
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
    ended = !self && state_->changed.wait_for(lock, patience, [this] { return state_->ended; });
    if (!ended && !self)
      std::fprintf(stderr, "weft: the worker of %s is still busy after %lld s and is left to itself\n",
                   to_string(device_).c_str(), static_cast<long long>(patience.count()));
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

Workers::Workers(std::vector<Device> ranks, int threads) : ranks_(std::move(ranks)), threads_(threads) {
  const auto cpu_ranks = std::count_if(ranks_.begin(), ranks_.end(), [](Device d) { return d.is_cpu(); });
  const int share = cpu_ranks > 0 ? std::max(1, default_num_threads() / static_cast<int>(cpu_ranks)) : 1;
  for (const Device device : ranks_)
    workers_.push_back(std::make_unique<Worker>(device, threads > 0 ? threads : share));
}

std::shared_ptr<Workers> Workers::acquire(const std::vector<Device>& ranks, int threads) {
  using Key = std::pair<std::vector<Device>, int>;
  static auto& mutex = *new std::mutex;  // never destroyed: models with static storage duration may still ask
  static auto& sets = *new std::map<Key, std::weak_ptr<Workers>>;
  WEFT_CHECK(DeviceError, !ranks.empty(), "parallel: the list of devices is empty");
  const std::lock_guard lock(mutex);
  std::weak_ptr<Workers>& known = sets[{ranks, threads}];
  std::shared_ptr<Workers> workers = known.lock();
  if (!workers) known = workers = std::make_shared<Workers>(ranks, threads);
  return workers;
}

int Workers::replica(int rank) const {
  const auto end = ranks_.begin() + rank;
  return static_cast<int>(std::count(ranks_.begin(), end, *end));
}

namespace {

// One call of run_ranks; workers share it, so that a late one finds everything in place.
struct Call {
  std::function<void(int)> job;
  std::mutex mutex;
  std::condition_variable done;
  size_t left = 0;
  std::vector<bool> answered;
  std::vector<WorkerError> errors;

  void work(size_t i, int rank, Device device) noexcept {
    std::exception_ptr error;
    try {
      job(rank);
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    if (error) errors.push_back({rank, device, error});  // there is room
    answered[i] = true;
    if (--left == 0) done.notify_all();
  }
};

}  // namespace

void Workers::run_ranks(const std::vector<int>& ranks, std::function<void(int)> job, const RunOptions& options) {
  auto call = std::make_shared<Call>();
  call->job = std::move(job);
  call->left = ranks.size();
  call->answered.resize(ranks.size());
  call->errors.reserve(ranks.size());
  if (Worker::is_current()) {
    for (size_t i = 0; i < ranks.size(); ++i) {
      const Device device = ranks_[static_cast<size_t>(ranks[i])];
      const DeviceGuard bound(device);
      call->work(i, ranks[i], device);
    }
  } else {
    std::vector<Worker::Tasks> tasks(ranks.size());  // all of them, or none is queued
    for (size_t i = 0; i < ranks.size(); ++i) {
      const auto rank = static_cast<size_t>(ranks[i]);
      tasks[i].push_back([call, i, rank, device = ranks_[rank]] { call->work(i, static_cast<int>(rank), device); });
    }
    const std::lock_guard lock(enqueue_);
    for (size_t i = 0; i < ranks.size(); ++i) workers_[static_cast<size_t>(ranks[i])]->queue(std::move(tasks[i]));
  }
  std::unique_lock lock(call->mutex);
  if (!call->done.wait_for(lock, options.deadline, [&] { return call->left == 0; })) {
    std::string late;
    for (size_t i = 0; i < ranks.size(); ++i)
      if (!call->answered[i]) late += (late.empty() ? "" : ", ") + to_string(ranks_[static_cast<size_t>(ranks[i])]);
    fail<Error>(options.what, ": no answer from ", late, " within ",
                static_cast<double>(options.deadline.count()) / 1000,
                " s; raise the deadline if the work may take longer");
  }
  if (call->errors.empty()) return;
  std::sort(call->errors.begin(), call->errors.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
  throw WorkerErrors(std::move(call->errors), static_cast<int>(ranks.size()));
}

void Workers::run_all(std::function<void(int)> job, const RunOptions& options) {
  std::vector<int> all(ranks_.size());
  std::iota(all.begin(), all.end(), 0);
  run_ranks(all, std::move(job), options);
}

void Workers::run(std::span<const Device> devices, const std::function<void(int)>& body) {
  const RunOptions options{.deadline = std::chrono::hours(24 * 365), .what = "backward"};
  std::vector<int> ranks;
  std::vector<int> index_of(ranks_.size(), -1);
  for (size_t i = 0; i < devices.size(); ++i) {
    for (size_t rank = 0; rank < ranks_.size(); ++rank) {
      if (ranks_[rank] != devices[i] || index_of[rank] >= 0) continue;
      index_of[rank] = static_cast<int>(i);
      ranks.push_back(static_cast<int>(rank));
      break;
    }
    if (ranks.size() == i + 1) continue;
    // The graph has more ranks on a device, or another device, than this set: workers for just these.
    return acquire({devices.begin(), devices.end()}, threads_)->run_all(body, options);
  }
  run_ranks(
      ranks, [&](int rank) { body(index_of[static_cast<size_t>(rank)]); }, options);
}

}  // namespace weft::parallel
