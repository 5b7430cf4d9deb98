#include "weft/tensor/group.h"

#include <atomic>

namespace weft {

RankContext& current_rank() noexcept {
  static constinit thread_local RankContext instance;
  return instance;
}

namespace {
std::atomic<uint64_t> next_group{1};
}

Group::Group(std::vector<Device> devices, const GroupOptions& options)
    : id_(next_group.fetch_add(1, std::memory_order_relaxed)),
      devices_(std::move(devices)),
      options_(options),
      seats_(devices_.size()) {}

void Group::place(int rank, Device device) {
  const std::lock_guard lock(mutex_);
  devices_[static_cast<size_t>(rank)] = device;
}

void Group::check_left(int64_t meeting, const std::string& what) const {
  for (size_t i = 0; i < seats_.size(); ++i) {
    const Seat& seat = seats_[i];
    if (!seat.left || seat.here) continue;
    fail<CommError>(what, " #", meeting, ": rank ", i, " on ", devices_[i],
                    seat.error ? " failed before it arrived" : " returned without arriving",
                    "; every rank must take part in the same collectives");
  }
}

void Group::check_agreement() const {
  bool agree = true;
  for (const Seat& seat : seats_) agree &= seat.what == seats_[0].what;
  if (agree) return;
  std::string text = detail::concat("collective #", meeting_, ": ranks disagree");
  for (size_t i = 0; i < seats_.size(); ++i) text += detail::concat(i ? ", " : ": ", "rank ", i, " ", seats_[i].what);
  throw CommError(text + "; every rank must call the same collectives in the same order");
}

// Ends the meeting that is gathering, with results or an error, and opens the next.
void Group::close(std::exception_ptr error) noexcept {
  failure_ = std::move(error);
  to_collect_ = arrived_;
  arrived_ = 0;
  ++meeting_;
  for (Seat& seat : seats_) {
    seat.here = false;
    seat.tensors.clear();
  }
  changed_.notify_all();
}

// What the ranks that wait are there for.
std::string Group::gathering() const {
  for (const Seat& seat : seats_)
    if (seat.here) return seat.what;
  return "";
}

void Group::forbid(std::string reason) {
  const std::lock_guard lock(mutex_);
  forbidden_ = std::move(reason);
  if (arrived_ > 0 && !acting_) close(std::make_exception_ptr(CommError(gathering() + ": " + forbidden_)));
}

Tensors Group::meet(int rank, const std::string& what, Tensors tensors, const Act& act) {
  std::unique_lock lock(mutex_);
  WEFT_CHECK(CommError, forbidden_.empty(), what, ": ", forbidden_);
  const auto deadline = std::chrono::steady_clock::now() + options_.deadline;
  const auto late = [&](const char* whom) {
    fail<CommError>(what, " #", meeting_, ": waited ", options_.deadline.count() / 1000, " s for ", whom,
                    "; raise the deadline if a rank may take longer");
  };
  if (!changed_.wait_until(lock, deadline, [&] { return to_collect_ == 0; }))
    late("the ranks of the previous collective");
  const int64_t meeting = meeting_;
  check_left(meeting, what);
  Seat& seat = seats_[static_cast<size_t>(rank)];
  seat.tensors = std::move(tensors);
  seat.what = what;
  seat.here = true;
  if (++arrived_ == size()) {
    acting_ = true;
    std::exception_ptr error;
    try {
      check_agreement();
      std::vector<Tensors> deposits;
      for (Seat& s : seats_) deposits.push_back(std::move(s.tensors));
      lock.unlock();  // the others only wait; a rank that leaves meanwhile must not block
      const RankGuard nobody({});
      results_ = act(deposits);
    } catch (...) {
      error = std::current_exception();
    }
    if (!lock.owns_lock()) lock.lock();
    acting_ = false;
    close(error);
  } else {
    const bool met = changed_.wait_until(lock, deadline, [&] { return meeting_ != meeting; }) || acting_;
    if (met)
      changed_.wait(lock, [&] { return meeting_ != meeting; });
    else
      close(std::make_exception_ptr(
          CommError(detail::concat(what, " #", meeting, ": only ", arrived_, " of ", size(), " ranks arrived within ",
                                   options_.deadline.count() / 1000, " s"))));
  }
  const std::exception_ptr failed = failure_;
  Tensors mine;
  if (!failed) mine = std::move(results_[static_cast<size_t>(rank)]);
  if (--to_collect_ == 0) {
    results_.clear();
    failure_ = nullptr;
    changed_.notify_all();
  }
  if (failed) std::rethrow_exception(failed);
  return mine;
}

void Group::leave(int rank, std::exception_ptr error) noexcept {
  const std::lock_guard lock(mutex_);
  Seat& seat = seats_[static_cast<size_t>(rank)];
  seat.left = true;
  seat.error = std::move(error);
  if (arrived_ == 0 || acting_ || seat.here) return;
  try {
    check_left(meeting_, gathering());
  } catch (...) {
    close(std::current_exception());
  }
}

}  // namespace weft
