#include "weft/parallel/pool.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

#include "weft/parallel/context.h"
#include "weft/parallel/errors.h"
#include "weft/parallel/worker.h"
#include "weft/tensor/deadline.h"
#include "weft/tensor/group.h"
#include "weft/tensor/stream_order.h"

namespace weft::parallel {

namespace {
constexpr uint64_t calls_per_round = 1 << 16;  // random calls set aside for the items of one round
}

// As many consecutive puts as there are workers: the shares of one batch.
struct Pool::Round {
  std::unique_ptr<Group> group;
  Generator generator{0};
  int puts = 0;
  int64_t samples = 0;
  std::vector<size_t> workers;  // that got an item of the round

  void leave(int rank, std::exception_ptr error = nullptr) const noexcept {
    if (group) group->leave(rank, std::move(error));
  }
  // The items still to come will not.
  void abandon(int size) const noexcept {
    for (int rank = puts; rank < size; ++rank) leave(rank);
  }
};

struct Pool::Item {
  enum class Status : uint8_t { waiting, running, done, cancelled };
  Device device;
  Status status = Status::waiting;
  std::exception_ptr error;
  Result result;
  Context context = {};
  std::shared_ptr<Round> round;
  int rank = 0;
};

struct Pool::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<Ticket, std::shared_ptr<Item>> items;  // not fetched yet; a cancelled one may be before its worker sees it
  Ticket next = 0;
  int waiting = 0;  // for a worker
  bool closed = false;
  std::vector<Device> begun;  // devices whose first item has run
  bool alone = false;         // an item that must run alone is running
  int running = 0;

  // Runs one item as its round's rank.
  void run(Item& item, const std::function<void()>& job, bool serial_init) {
    std::unique_lock lock(mutex);
    const Device device = item.device;
    const Round& round = *item.round;
    const auto cancelled = [&] { return item.status == Item::Status::cancelled; };
    const auto first = [&] { return serial_init && std::find(begun.begin(), begun.end(), device) == begun.end(); };
    changed.wait(lock, [&] { return cancelled() || (!alone && (!first() || running == 0)); });
    --waiting;
    changed.notify_all();
    if (cancelled()) return;
    const bool by_itself = first();
    item.status = Item::Status::running;
    ++running;
    alone = by_itself;
    if (by_itself && round.group)
      round.group->forbid("the first item of each device runs alone; pass serial_init = false");
    lock.unlock();
    std::exception_ptr error;
    try {
      const ContextGuard in_force(item.context);
      const DeviceGuard on(device);
      const RankGuard as({round.group.get(), item.rank, 0});
      job();
    } catch (...) {
      error = std::current_exception();
    }
    round.leave(item.rank, error);
    lock.lock();
    if (by_itself) {
      begun.push_back(device);
      alone = false;
    }
    --running;
    item.status = Item::Status::done;
    item.error = std::move(error);
    changed.notify_all();
  }
};

struct Pool::Lock : std::unique_lock<std::mutex> {
  using std::unique_lock<std::mutex>::unique_lock;
};

Pool::Pool(int workers, ParallelOptions options) : options_(std::move(options)), state_(std::make_shared<State>()) {
  WEFT_CHECK(Error, workers >= 0, "Parallel: ", workers, " workers; use 0 or more");
  WEFT_CHECK(Error, options_.capacity > 0, "Parallel: a capacity of ", options_.capacity, "; use 1 or more");
  if (options_.devices.empty()) options_.devices = available_devices();
  size_ = workers;
  state_->begun.reserve(static_cast<size_t>(workers));  // in a worker nothing may fail
  if (Worker::is_current()) return;
  for (int i = 0; i < workers; ++i) {
    const Device device = options_.devices[static_cast<size_t>(i) % options_.devices.size()];
    workers_.push_back(std::make_unique<Worker>(device, device.is_cpu() ? 0 : 1));
  }
}

Pool::~Pool() {
  close();
  cancel();
}

// The worker bound to the device; where several are, or none is, in turn.
size_t Pool::choose(std::optional<Device> device) const {
  for (size_t i = 0; device && i < workers_.size(); ++i) {
    const size_t k = (next_worker_ + i) % workers_.size();
    if (workers_[k]->device() == *device) return k;
  }
  return next_worker_ % workers_.size();
}

std::shared_ptr<Pool::Round> Pool::round_for(int64_t samples, Context& context, int& rank) {
  if (!round_ || round_->puts >= std::max(size_, 1)) {
    round_ = std::make_shared<Round>();
    round_->generator = default_generator();
    default_generator().set_calls(default_generator().calls() + calls_per_round);
    if (size_ > 1) {
      round_->group = std::make_unique<Group>(std::vector<Device>(static_cast<size_t>(size_)),
                                              GroupOptions{.deadline = options_.deadline});
      if (workers_.empty())
        round_->group->forbid("a pool without workers runs one item at a time; use one worker per rank");
    }
  }
  rank = round_->puts++;
  context.generator = round_->generator;
  context.generator.set_first_sample(round_->generator.first_sample() + round_->samples);
  round_->samples += samples;
  return round_;
}

// Where an item of a round runs. Two of them on one worker cannot meet.
size_t Pool::seat(Round& round, int rank, std::optional<Device> device, Item& item) {
  const size_t worker = workers_.empty() ? 0 : choose(device);
  next_worker_ = worker + 1;
  item.device = workers_.empty() ? device.value_or(current_device()) : workers_[worker]->device();
  if (!round.group || workers_.empty()) return worker;
  round.group->place(rank, item.device);
  if (std::find(round.workers.begin(), round.workers.end(), worker) != round.workers.end())
    round.group->forbid(weft::detail::concat("two items of one round are for the worker of ", item.device,
                                             ", so they run one after the other; put one per worker"));
  round.workers.push_back(worker);
  return worker;
}

Pool::Ticket Pool::put(std::optional<Device> device, int64_t samples, std::function<void()> job, Result result) {
  const auto item = std::make_shared<Item>();
  item->result = std::move(result);
  item->context = Context::capture();
  Worker::Tasks work;
  const bool serial = options_.serial_init && !workers_.empty();
  work.push_back([state = state_, item, job = std::move(job), serial] { state->run(*item, job, serial); });

  std::unique_lock lock(state_->mutex);
  const auto room = [this] { return state_->closed || state_->waiting < options_.capacity; };
  WEFT_CHECK(Error, state_->changed.wait_for(lock, weft::detail::to_chrono(options_.deadline), room),
             "Parallel: ", state_->waiting, " items waited for a worker for ", options_.deadline.count(),
             " s; is one of them stuck?");
  WEFT_CHECK(Error, !state_->closed, "Parallel: put after close()");
  item->round = round_for(samples, item->context, item->rank);
  size_t worker = 0;
  const Ticket ticket = state_->next++;
  try {
    worker = seat(*item->round, item->rank, device, *item);
    state_->items[ticket] = item;
  } catch (...) {
    item->round->leave(item->rank, std::current_exception());
    throw;
  }
  ++state_->waiting;
  // Under the lock: all workers get the items of several callers in one order.
  if (!workers_.empty()) return workers_[worker]->queue(std::move(work)), ticket;
  lock.unlock();
  work.front()();
  return ticket;
}

Pool::Result Pool::fetch(Lock& lock, Ticket ticket, Seconds patience) {
  const auto found = state_->items.find(ticket);
  WEFT_CHECK(Error, found != state_->items.end(), "Parallel: ticket ", ticket,
             " is unknown or its result was fetched before");
  const std::shared_ptr<Item> kept = found->second;
  Item& item = *kept;
  const auto ready = [&] { return item.status >= Item::Status::done; };
  WEFT_CHECK(Error, state_->changed.wait_for(lock, weft::detail::to_chrono(patience), ready),
             "Parallel: the worker of ", item.device, " has not finished item ", ticket, " within ", patience.count(),
             " s");
  const std::exception_ptr error = item.error;
  const bool cancelled = item.status == Item::Status::cancelled;
  Result result = std::move(item.result);
  const bool mine = state_->items.erase(ticket) == 1;
  lock.unlock();
  WEFT_CHECK(Error, mine, "Parallel: the result of ticket ", ticket, " was fetched by another thread");
  WEFT_CHECK(Error, !cancelled, "Parallel: item ", ticket, " was cancelled before it started");
  if (error) std::rethrow_exception(error);
  wait_for(item.context.streams);  // this thread may have others current than the one that put the item
  return result;
}

Pool::Result Pool::wait(Ticket ticket) {
  Lock lock(state_->mutex);
  return fetch(lock, ticket, options_.deadline);
}

Pool::Result Pool::wait_next() {
  Lock lock(state_->mutex);
  WEFT_CHECK(Error, !state_->items.empty(), "Parallel: get without a put whose result is still to be fetched");
  return fetch(lock, state_->items.begin()->first, options_.deadline);
}

Pool::Result Pool::wait_any() {
  Lock lock(state_->mutex);
  WEFT_CHECK(Error, !state_->items.empty(), "Parallel: get_any without a put whose result is still to be fetched");
  Ticket ticket = 0;
  const auto any = [&] {
    for (const auto& [t, item] : state_->items)
      if (item->status >= Item::Status::done) return ticket = t, true;
    return false;
  };
  WEFT_CHECK(Error, state_->changed.wait_for(lock, weft::detail::to_chrono(options_.deadline), any),
             "Parallel: none of ", state_->items.size(), " items finished within ", options_.deadline.count(), " s");
  return fetch(lock, ticket, options_.deadline);
}

Pool::Result Pool::wait_next_for(Seconds duration) {
  Lock lock(state_->mutex);
  WEFT_CHECK(Error, !state_->items.empty(), "Parallel: get_for without a put whose result is still to be fetched");
  const Ticket ticket = state_->items.begin()->first;
  const auto ready = [&] {
    const auto found = state_->items.find(ticket);
    return found == state_->items.end() || found->second->status >= Item::Status::done;
  };
  if (!state_->changed.wait_for(lock, weft::detail::to_chrono(duration), ready)) return nullptr;
  return fetch(lock, ticket, options_.deadline);
}

std::vector<Pool::Result> Pool::wait_all() {
  std::vector<std::pair<Ticket, Device>> tickets;
  std::vector<Result> results;
  std::vector<WorkerError> errors;
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& [ticket, item] : state_->items) tickets.emplace_back(ticket, item->device);
  }
  for (size_t i = 0; i < tickets.size(); ++i) {
    Lock lock(state_->mutex);
    if (!state_->items.count(tickets[i].first)) continue;  // fetched by another thread meanwhile
    try {
      results.push_back(fetch(lock, tickets[i].first, options_.deadline));
    } catch (...) {
      errors.push_back({static_cast<int>(i), tickets[i].second, std::current_exception()});
    }
  }
  if (!errors.empty()) throw WorkerErrors(std::move(errors), static_cast<int>(tickets.size()));
  return results;
}

int Pool::workers() const { return static_cast<int>(workers_.size()); }

size_t Pool::outstanding() const {
  const std::lock_guard lock(state_->mutex);
  return state_->items.size();
}

void Pool::close() {
  const std::lock_guard lock(state_->mutex);
  if (state_->closed) return;
  state_->closed = true;
  if (round_) round_->abandon(size_);
  state_->changed.notify_all();
}

void Pool::cancel() {
  const std::lock_guard lock(state_->mutex);
  for (auto& [ticket, item] : state_->items)
    if (item->status == Item::Status::waiting) {
      item->status = Item::Status::cancelled;
      item->round->leave(item->rank, std::make_exception_ptr(Error("Parallel: the item was cancelled")));
    }
  state_->changed.notify_all();
}

}  // namespace weft::parallel
