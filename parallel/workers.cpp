#include "weft/parallel/workers.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <numeric>

#include "weft/parallel/worker.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/deadline.h"
#include "weft/tensor/profile_scope.h"
#include "weft/tensor/threads.h"

namespace weft::parallel {

struct Workers::Team {
  std::mutex enqueue;
  std::vector<std::unique_ptr<Worker>> workers;
};

Workers::Workers(std::vector<Device> ranks, int threads)
    : ranks_(std::move(ranks)), threads_(threads), team_(std::make_unique<Team>()) {
  const auto cpu_ranks = std::count_if(ranks_.begin(), ranks_.end(), [](Device d) { return d.is_cpu(); });
  const int share = cpu_ranks > 0 ? std::max(1, default_num_threads() / static_cast<int>(cpu_ranks)) : 1;
  for (const Device device : ranks_)
    team_->workers.push_back(std::make_unique<Worker>(device, threads > 0 ? threads : share));
}

Workers::~Workers() = default;

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
  std::string what;
  std::mutex mutex;
  std::condition_variable done;
  size_t left = 0;
  std::vector<bool> answered;
  std::vector<WorkerError> errors;

  void work(size_t i, int rank, Device device) noexcept {
    std::exception_ptr error;
    try {
      const weft::detail::ProfileScope scope(ProfileKind::pass, std::string_view(what));
      job(rank);
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    if (error) errors.push_back({rank, device, std::move(error)});  // there is room; the caller alone holds it now
    answered[i] = true;
    if (--left == 0) done.notify_all();
  }
};

}  // namespace

void Workers::run_ranks(const std::vector<int>& ranks, std::function<void(int)> job, const RunOptions& options) {
  auto call = std::make_shared<Call>();
  call->job = std::move(job);
  call->what = std::string("worker: ") + options.what;
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
    const std::lock_guard lock(team_->enqueue);
    for (size_t i = 0; i < ranks.size(); ++i) team_->workers[static_cast<size_t>(ranks[i])]->queue(std::move(tasks[i]));
  }
  std::unique_lock lock(call->mutex);
  if (!call->done.wait_for(lock, weft::detail::to_chrono(options.deadline), [&] { return call->left == 0; })) {
    std::string late;
    for (size_t i = 0; i < ranks.size(); ++i)
      if (!call->answered[i]) late += (late.empty() ? "" : ", ") + to_string(ranks_[static_cast<size_t>(ranks[i])]);
    fail<Error>(options.what, ": no answer from ", late, " within ", options.deadline.count(),
                " s; raise the deadline if the work may take longer");
  }
  call->job = nullptr;  // a worker may hold the call a little longer, and what the work held goes with this call
  if (call->errors.empty()) return;
  abandon_collectives(ranks_);
  std::sort(call->errors.begin(), call->errors.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
  throw WorkerErrors(std::move(call->errors), static_cast<int>(ranks.size()));
}

void Workers::run_all(std::function<void(int)> job, const RunOptions& options) {
  std::vector<int> all(ranks_.size());
  std::iota(all.begin(), all.end(), 0);
  run_ranks(all, std::move(job), options);
}

void Workers::run(std::span<const Device> devices, const std::function<void(int)>& body) {
  const RunOptions options{.deadline = 365 * 24 * 3600, .what = "backward"};
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
