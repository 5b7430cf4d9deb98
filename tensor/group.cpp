#include "weft/tensor/group.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "weft/tensor/deadline.h"
#include "weft/tensor/profile_scope.h"
#include "weft/tensor/stream_order.h"

namespace weft {

RankContext& current_rank() noexcept {
  static constinit thread_local RankContext instance;
  return instance;
}

namespace {

std::atomic<uint64_t> next_group{1};

// The streams of joint work. The ranks' own are those of their caller, all alike, unless a rank has made others
// current; then each device's first rank lends its stream.
class JointStreams {
 public:
  JointStreams(const std::vector<Device>& devices, std::vector<std::vector<Stream>> ranks) : ranks_(std::move(ranks)) {
    if (std::all_of(ranks_.begin(), ranks_.end(), [this](const auto& streams) { return streams == ranks_[0]; })) return;
    std::vector<Stream> chosen = ranks_[0];
    for (size_t i = ranks_.size(); i-- > 0;) set_in(chosen, stream_in(ranks_[i], devices[i]));
    guard_.emplace(std::move(chosen));
  }
  void take(std::span<const Tensors> tensors) const {
    each(tensors, [](const Tensor& x, Stream rank) { hand_over(x, rank, current_stream(x.device())); });
  }
  void give(std::span<const Tensors> tensors) const {
    each(tensors, [](const Tensor& x, Stream rank) { hand_over(x, current_stream(x.device()), rank); });
  }

 private:
  template <class F>
  void each(std::span<const Tensors> tensors, F f) const {
    if (!guard_) return;
    for (size_t i = 0; i < tensors.size(); ++i)
      for (const Tensor& x : tensors[i])
        if (x.defined()) f(x, stream_in(ranks_[i], x.device()));
  }

  std::vector<std::vector<Stream>> ranks_;
  std::optional<StreamsGuard> guard_;
};

}  // namespace

struct Group::Meetings {
  struct Seat {
    Tensors tensors;
    std::vector<Stream> streams = {};  // the rank's current ones
    std::string what;
    bool here = false;
    bool left = false;
    std::exception_ptr error;
  };

  explicit Meetings(const std::vector<Device>& group) : devices(group), seats(group.size()) {}
  void check_left(int64_t meeting, const std::string& what) const;
  void check_agreement() const;
  void close(std::exception_ptr error) noexcept;
  std::string gathering() const;

  const std::vector<Device>& devices;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Seat> seats;
  int arrived = 0;
  bool acting = false;
  int64_t current = 0;  // number of the meeting that is gathering
  std::vector<Tensors> results;
  int to_collect = 0;  // ranks that have not fetched the results of the last meeting
  std::exception_ptr failure;
  std::string forbidden;
};

Group::Group(std::vector<Device> devices, const GroupOptions& options)
    : id_(next_group.fetch_add(1, std::memory_order_relaxed)),
      devices_(std::move(devices)),
      options_(options),
      meetings_(std::make_unique<Meetings>(devices_)) {}

Group::~Group() = default;

void Group::place(int rank, Device device) {
  const std::lock_guard lock(meetings_->mutex);
  devices_[static_cast<size_t>(rank)] = device;
}

void Group::Meetings::check_left(int64_t meeting, const std::string& what) const {
  for (size_t i = 0; i < seats.size(); ++i) {
    const Seat& seat = seats[i];
    if (!seat.left || seat.here) continue;
    fail<CommError>(what, " #", meeting, ": rank ", i, " on ", devices[i],
                    seat.error ? " failed before it arrived" : " returned without arriving",
                    "; every rank must take part in the same collectives");
  }
}

void Group::Meetings::check_agreement() const {
  bool agree = true;
  for (const Seat& seat : seats) agree &= seat.what == seats[0].what;
  if (agree) return;
  std::string text = detail::concat("collective #", current, ": ranks disagree");
  for (size_t i = 0; i < seats.size(); ++i) text += detail::concat(i ? ", " : ": ", "rank ", i, " ", seats[i].what);
  throw CommError(text + "; every rank must call the same collectives in the same order");
}

// Ends the meeting that is gathering, with results or an error, and opens the next.
void Group::Meetings::close(std::exception_ptr error) noexcept {
  failure = std::move(error);
  to_collect = arrived;
  arrived = 0;
  ++current;
  for (Seat& seat : seats) {
    seat.here = false;
    seat.tensors.clear();
  }
  changed.notify_all();
}

// What the ranks that wait are there for.
std::string Group::Meetings::gathering() const {
  for (const Seat& seat : seats)
    if (seat.here) return seat.what;
  return "";
}

void Group::forbid(std::string reason) {
  Meetings& m = *meetings_;
  const std::lock_guard lock(m.mutex);
  m.forbidden = std::move(reason);
  if (m.arrived > 0 && !m.acting) m.close(std::make_exception_ptr(CommError(m.gathering() + ": " + m.forbidden)));
}

Tensors Group::meet(int rank, const std::string& what, Tensors tensors, const Act& act) {
  const detail::ProfileScope scope(ProfileKind::meeting, std::string_view(what));
  Meetings& m = *meetings_;
  std::unique_lock lock(m.mutex);
  WEFT_CHECK(CommError, m.forbidden.empty(), what, ": ", m.forbidden);
  const auto deadline = std::chrono::steady_clock::now() + detail::to_chrono(options_.deadline);
  const auto late = [&](const char* whom) {
    fail<CommError>(what, " #", m.current, ": waited ", options_.deadline.count(), " s for ", whom,
                    "; raise the deadline if a rank may take longer");
  };
  if (!m.changed.wait_until(lock, deadline, [&] { return m.to_collect == 0; }))
    late("the ranks of the previous collective");
  const int64_t meeting = m.current;
  m.check_left(meeting, what);
  Meetings::Seat& seat = m.seats[static_cast<size_t>(rank)];
  seat.tensors = std::move(tensors);
  seat.streams = current_streams();
  seat.what = what;
  seat.here = true;
  if (++m.arrived == size()) {
    m.acting = true;
    std::exception_ptr error;
    try {
      m.check_agreement();
      std::vector<Tensors> deposits;
      std::vector<std::vector<Stream>> streams;
      for (Meetings::Seat& s : m.seats)
        deposits.push_back(std::move(s.tensors)), streams.push_back(std::move(s.streams));
      lock.unlock();  // the others only wait; a rank that leaves meanwhile must not block
      const RankGuard nobody({});
      const JointStreams joint(devices_, std::move(streams));
      joint.take(deposits);
      m.results = act(deposits);
      joint.give(deposits);  // it may have changed them
      joint.give(m.results);
    } catch (...) {
      error = std::current_exception();
    }
    if (!lock.owns_lock()) lock.lock();
    m.acting = false;
    m.close(error);
  } else {
    const bool met = m.changed.wait_until(lock, deadline, [&] { return m.current != meeting; }) || m.acting;
    if (met)
      m.changed.wait(lock, [&] { return m.current != meeting; });
    else
      m.close(std::make_exception_ptr(
          CommError(detail::concat(what, " #", meeting, ": only ", m.arrived, " of ", size(), " ranks arrived within ",
                                   options_.deadline.count(), " s"))));
  }
  const std::exception_ptr failed = m.failure;
  Tensors mine;
  if (!failed) mine = std::move(m.results[static_cast<size_t>(rank)]);
  if (--m.to_collect == 0) {
    m.results.clear();
    m.failure = nullptr;
    m.changed.notify_all();
  }
  if (failed) std::rethrow_exception(failed);
  return mine;
}

void Group::leave(int rank, std::exception_ptr error) noexcept {
  Meetings& m = *meetings_;
  const std::lock_guard lock(m.mutex);
  Meetings::Seat& seat = m.seats[static_cast<size_t>(rank)];
  seat.left = true;
  seat.error = std::move(error);
  if (m.arrived == 0 || m.acting || seat.here) return;
  try {
    m.check_left(m.current, m.gathering());
  } catch (...) {
    m.close(std::current_exception());
  }
}

}  // namespace weft
