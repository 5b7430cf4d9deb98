#include "weft/cuda/nccl_clique.h"

#include <algorithm>
#include <condition_variable>
#include <system_error>
#include <thread>

#include "weft/cuda/check.h"
#include "weft/cuda/memory_lock.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/deadline.h"
#include "weft/tensor/profile_scope.h"
#include "weft/tensor/untold.h"

namespace weft::cuda {

namespace {

std::string text_of(Seconds time) { return weft::detail::concat(time.count(), " s"); }

std::string list(const std::vector<int>& devices) {
  std::string text;
  for (const int device : devices) text += (text.empty() ? "cuda:" : ", cuda:") + std::to_string(device);
  return text;
}

ncclConfig_t not_blocking() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  return config;
}

std::string title(const char* operation, int64_t number, const std::string& operands) {
  return weft::detail::concat(operation, " #", number, " ", operands);
}

// Before a group: one in which a lost device has no part would leave the others waiting for it.
void check_reachable(const std::vector<int>& devices) {
  for (const int device : devices) const DeviceScope scope(device);
}

// Before there is a clique whose operations could be told.
std::string recent_work(const std::vector<int>& devices) {
  std::string text = "; the last operations, newest first, on ";
  for (const int device : devices)
    text += weft::detail::concat(device == devices[0] ? "" : ", on ", Device(DeviceType::cuda, device), " (",
                                 last_operations(device), ")");
  return text;
}

// What kernels still run on them ends first, on all devices: to free memory that others' kernels use would fault.
void abort_all(const std::vector<ncclComm_t>& comms, [[maybe_unused]] bool launched) {
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 9)
  if (launched)
    for (const ncclComm_t comm : comms) static_cast<void>(ncclCommRevoke(comm, NCCL_REVOKE_DEFAULT));
#endif
  const bool grouped = ncclGroupStart() == ncclSuccess;
  for (const ncclComm_t comm : comms) static_cast<void>(ncclCommAbort(comm));
  if (grouped) static_cast<void>(ncclGroupEnd());
}

void destroy_all(const std::vector<ncclComm_t>& comms) {
  const bool grouped = ncclGroupStart() == ncclSuccess;
  for (const ncclComm_t comm : comms) static_cast<void>(ncclCommDestroy(comm));
  if (grouped) static_cast<void>(ncclGroupEnd());
}

}  // namespace

bool run_apart(Seconds deadline, std::function<void()> work) {
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool ended = false;
  };
  const auto state = std::make_shared<State>();
  try {
    std::thread([state, work = std::move(work)] {
      work();
      const std::lock_guard lock(state->mutex);
      state->ended = true;
      state->changed.notify_all();
    }).detach();
  } catch (const std::system_error&) {
    return false;
  }
  std::unique_lock lock(state->mutex);
  return state->changed.wait_for(lock, weft::detail::to_chrono(deadline), [&] { return state->ended; });
}

Clique::Clique(std::vector<int> devices, Clique* larger) : devices_(std::move(devices)), comms_(devices_.size()) {
  for (const int device : devices_) contexts_.push_back(&Context::of(device));
  const std::string operation = "communicator of " + list(devices_);
  const GroupedLaunchScope alone;
  try {
    larger ? split(*larger, operation) : create(operation);
    await(operation);
  } catch (...) {
    rethrow_with(recent_work(devices_) + abort());
  }
}

Clique::~Clique() {
  if (is_forgotten() || is_exiting()) {
    for (Record& record : records_)
      for (UniqueEvent& event : record.ends) event.release();
  } else if (usable_) {
    run_apart(comm_options().abort_deadline, [comms = comms_] { destroy_all(comms); });
  }
}

void Clique::create(const std::string& operation) {
  ncclConfig_t config = not_blocking();
  ncclUniqueId id;
  check(ncclGetUniqueId(&id), operation, device(0));
  check_reachable(devices_);
  NcclGroup group(operation, device(0));
  for (size_t rank = 0; rank < devices_.size(); ++rank) {
    const DeviceScope scope(devices_[rank]);
    check(ncclCommInitRankConfig(&comms_[rank], static_cast<int>(devices_.size()), id, static_cast<int>(rank), &config),
          operation, device(rank));
  }
  group.end();
}

void Clique::split(Clique& larger, const std::string& operation) {
  const std::lock_guard lock(larger.mutex_);
  ncclConfig_t config = not_blocking();
  ncclComm_t nobody = nullptr;
  try {
    WEFT_CHECK(CommError, larger.usable_, operation, ": another thread gave the larger communicator up; try again");
    check_reachable(larger.devices_);
    NcclGroup group(operation, larger.device(0));
    for (size_t i = 0; i < larger.devices_.size(); ++i) {
      const DeviceScope scope(larger.devices_[i]);
      const auto rank = std::find(devices_.begin(), devices_.end(), larger.devices_[i]) - devices_.begin();
      const bool member = rank < std::ssize(devices_);
      check(ncclCommSplit(larger.comms_[i], member ? 0 : NCCL_SPLIT_NOCOLOR, static_cast<int>(rank),
                          member ? &comms_[static_cast<size_t>(rank)] : &nobody, &config),
            operation, larger.device(i), larger.comms_[i]);
    }
    group.end();
    larger.await(operation);
  } catch (...) {
    rethrow_with(larger.give_up_locked());
  }
}

bool Clique::has(int device) const { return std::find(devices_.begin(), devices_.end(), device) != devices_.end(); }

bool Clique::is_forgotten() const noexcept {
  for (size_t rank = 0; rank < devices_.size(); ++rank)
    if (Context::if_used(devices_[rank]) != contexts_[rank]) return true;
  return false;
}

// Waits until no communicator is in progress. Of those that failed the first that does not blame another is thrown.
void Clique::await(const std::string& operation) const {
  const Seconds limit = comm_options().deadline;
  const WaitClock::time_point deadline = WaitClock::now() + weft::detail::to_chrono(limit);
  for (Patience patience;; patience.wait()) {
    std::vector<int> late;
    std::optional<std::pair<size_t, ncclResult_t>> failed;
    for (size_t rank = 0; rank < comms_.size(); ++rank) {
      ncclResult_t state = ncclInProgress;
      const ncclResult_t status = ncclCommGetAsyncError(comms_[rank], &state);
      if (status != ncclSuccess) state = status;
      if (state == ncclInProgress)
        late.push_back(devices_[rank]);
      else if (state != ncclSuccess && (!failed || failed->second == ncclRemoteError))
        failed = {rank, state};
    }
    if (failed) raise(failed->second, operation, device(failed->first), comms_[failed->first]);
    if (late.empty()) return;
    WEFT_CHECK(CommError, WaitClock::now() < deadline, operation, ": not ready on ", list(late), " within ",
               text_of(limit), "; raise the deadline of CommOptions if it may take longer");
  }
}

void Clique::launch(const What& what, const std::vector<Stream>& streams, const Issue& issue) {
  weft::detail::ProfileParts parts(what.operation, what.operands, streams, what.bytes);
  const GroupedLaunchScope alone;
  const std::lock_guard lock(mutex_);
  ++launched_;
  Record& record = newest();
  record.number = launched_;
  record.what = what;
  try {
    parts.begin();
    launch_locked(record, streams, issue);
    parts.end();
  } catch (...) {
    rethrow_with(give_up_locked());
  }
}

void Clique::launch_locked(Record& record, const std::vector<Stream>& streams, const Issue& issue) {
  const std::string operation = title(record.what.operation, record.number, record.what.operands);
  WEFT_CHECK(CommError, usable_, operation, ": another thread gave the communicator up; run the step again");
  check_reachable(devices_);
  NcclGroup group(operation, device(0));
  for (size_t rank = 0; rank < devices_.size(); ++rank) {
    const DeviceScope scope(devices_[rank]);
    note_operation(devices_[rank], record.what.operation);
    check(issue(rank, comms_[rank], native(streams[rank])), operation, device(rank), comms_[rank]);
  }
  group.end();
  await(operation);  // only then is everything on the streams
  record.ends.resize(devices_.size());
  for (size_t rank = 0; rank < devices_.size(); ++rank) {
    const DeviceScope scope(devices_[rank]);
    UniqueEvent& end = record.ends[rank];
    if (!end) check(cudaEventCreateWithFlags(end.out(), cudaEventDisableTiming), operation.c_str());
    check(cudaEventRecord(end.raw(), native(streams[rank])), operation.c_str());
  }
  record.launched = WaitClock::now();
  busy_.store(true, std::memory_order_release);
}

// The devices whose part of the operation has not ended.
std::string Clique::unfinished(const Record& record) const {
  std::vector<int> late;
  for (size_t rank = 0; rank < devices_.size(); ++rank) {
    const DeviceScope scope(devices_[rank]);
    const cudaError_t status = cudaEventQuery(record.ends[rank].raw());
    if (status == cudaErrorNotReady) {
      static_cast<void>(cudaGetLastError());
      late.push_back(devices_[rank]);
    } else {
      check(status, record.what.operation);
    }
  }
  return list(late);
}

std::optional<std::string> Clique::look(WaitClock::time_point wait_began) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return lock ? look_locked(wait_began) : std::nullopt;
}

std::optional<std::string> Clique::look_locked(WaitClock::time_point wait_began) {
  if (!busy_ || !usable_) return std::nullopt;
  const Record& record = newest();
  const std::string operation = title(record.what.operation, record.number, record.what.operands);
  const Seconds limit = comm_options().deadline;
  try {
    const weft::detail::UntoldScope untold;
    await(operation);  // returns at once: only an error could be new
    const std::string late = unfinished(record);
    if (late.empty())
      busy_.store(false, std::memory_order_release);
    else if (WaitClock::now() - std::max(wait_began, record.launched) > weft::detail::to_chrono(limit))
      return weft::detail::concat(operation, ": not finished on ", late, " within ", text_of(limit),
                                  "; raise the deadline of CommOptions if a device may take longer");
  } catch (const Error& error) {
    return error.what();
  }
  return std::nullopt;
}

// What was launched before the call that failed may still come to its end, and then its results are good.
void Clique::drain_locked() {
  if (!busy_) return;
  bool lost = true;
  try {
    const weft::detail::UntoldScope untold;
    const Record& last = records_[static_cast<size_t>(launched_ - 1) % kept];
    const WaitClock::time_point deadline = WaitClock::now() + weft::detail::to_chrono(comm_options().abort_deadline);
    Patience patience;
    while ((lost = !unfinished(last).empty()) && WaitClock::now() < deadline) patience.wait();
  } catch (const Error&) {
    lost = true;
  }
  lost_.store(lost, std::memory_order_release);
}

std::string Clique::give_up(const std::string& trouble) {
  const std::lock_guard lock(mutex_);
  if (!usable_) return "";
  lost_.store(true, std::memory_order_release);
  return trouble + give_up_locked();
}

// What there is to say beside the trouble.
std::string Clique::give_up_locked() {
  std::string text = history_locked();
  if (!usable_) return text;
  if (!lost_) drain_locked();
  usable_.store(false, std::memory_order_release);
  text += abort();
  busy_.store(false, std::memory_order_release);
  return text;
}

std::string Clique::last_operations() const {
  const std::lock_guard lock(mutex_);
  return history_locked();
}

std::string Clique::history_locked() const {
  std::string text;
  for (int64_t n = launched_; n > 0 && n > launched_ - static_cast<int64_t>(kept); --n) {
    const Record& record = records_[static_cast<size_t>(n) % kept];
    text += (text.empty() ? "" : ", ") + title(record.what.operation, record.number, record.what.operands);
  }
  return "; the last operations on " + list(devices_) + ", newest first: " + (text.empty() ? "none" : text);
}

// Returns what there is to say of it.
std::string Clique::abort() {
  usable_.store(false, std::memory_order_release);
  std::vector<ncclComm_t> comms;
  for (const ncclComm_t comm : comms_)
    if (comm) comms.push_back(comm);
  if (comms.empty()) return "";
  *abort_ = Abort::running;
  const Seconds limit = comm_options().abort_deadline;
  const bool ended = run_apart(limit, [comms, launched = launched_ > 0, state = abort_] {
    abort_all(comms, launched);
    *state = Abort::ended;
  });
  Abort running = Abort::running;
  if (ended || !abort_->compare_exchange_strong(running, Abort::overrun)) return "";
  return weft::detail::concat("; its abort has not ended within ", text_of(limit), ", so ", list(devices_),
                              " may stay busy: save on other devices and restart the process");
}

}  // namespace weft::cuda
