// Pool: what Parallel does, without the types of its inputs and results.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "weft/tensor/device.h"
#include "weft/tensor/seconds.h"

namespace weft::parallel {

class Worker;
struct Context;

struct ParallelOptions {
  bool serial_init =
      true;  ///< the first item of each device runs alone, so that what it builds on first use is built once
  /// One per worker; empty: available_devices(), again from the start where there are more workers.
  std::vector<Device> devices = {};
  int capacity = 64;       ///< items that may wait for a worker; put() waits beyond
  Seconds deadline = 300;  ///< longest wait of get() and put()
};

class Pool {
 public:
  /// No workers: put() does the work itself. In a thread that is a worker already, likewise.
  Pool(int workers, ParallelOptions options);
  /// Cancels what has not started; what has is waited for (see Worker) and then left to itself.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  using Ticket = uint64_t;
  using Result = std::shared_ptr<void>;
  /// Queues a job for the worker of `device`, or the next one; `samples`: size of the item's share of the batch;
  /// `result`: what waiting for the item returns, filled by the job. Throws Error after close() or when no place became
  /// free within the deadline.
  Ticket put(std::optional<Device> device, int64_t samples, std::function<void()> job, Result result);
  /// Waits for one item, the next in order of put, or the next that is ready. Current streams of this thread wait for
  /// those of put, on which the item ran. Throws what the job threw; Error where nothing is outstanding, the item was
  /// cancelled or fetched before, or the deadline passed.
  Result wait(Ticket ticket);
  Result wait_next();
  Result wait_any();
  /// Null if the next item is not ready within `duration`.
  Result wait_next_for(Seconds duration);
  /// Waits for all outstanding items, in order. Throws WorkerErrors with all that failed; then none is outstanding.
  std::vector<Result> wait_all();
  /// Items not fetched yet.
  size_t outstanding() const;
  /// No more puts, also for a put() that waits for a place; what was put is finished. Ranks of a round that is not full
  /// learn that the others will not come.
  void close();
  /// Drops what has not started.
  void cancel();
  int workers() const;

 private:
  struct Item;
  struct Round;
  struct State;
  struct Lock;
  Result fetch(Lock& lock, Ticket ticket, Seconds patience);
  size_t choose(std::optional<Device> device) const;
  size_t seat(Round& round, int rank, std::optional<Device> device, Item& item);
  std::shared_ptr<Round> round_for(int64_t samples, Context& context, int& rank);

  ParallelOptions options_;
  std::shared_ptr<State> state_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::shared_ptr<Round> round_;
  size_t next_worker_ = 0;
  int size_ = 0;  // of a round
};

}  // namespace weft::parallel
