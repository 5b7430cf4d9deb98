// The scopes' side of a profile: finding the thread's log, and writing into it. One file although it is long: all that
// writes entries knows how they begin and end.
#include "weft/tensor/profile_scope.h"

#include <algorithm>

#include "weft/tensor/error.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/profile_recording.h"

namespace weft::detail {

namespace {

// Never destroyed: threads may still work while static objects end.
struct Process {
  std::mutex mutex;
  std::shared_ptr<ProfileRecording> recording;
  uint64_t next_id = 1;
};
Process& process() {
  static auto& instance = *new Process;
  return instance;
}
constinit std::atomic<uint64_t> current_id{0};  // of the recording, 0 without one
constinit std::atomic<const RangeDisplay*> display{nullptr};
constinit bool always_shown = false;  // under the mutex

constinit thread_local bool thread_ends = false;  // objects of this thread may be released after its log is gone
struct Holder {
  std::shared_ptr<ProfileLog> log;
  ~Holder() { thread_ends = true; }
};
Holder& holder() {
  static thread_local Holder instance;
  return instance;
}

std::shared_ptr<ProfileLog> new_log(ProfileRecording& recording, const std::shared_ptr<ProfileRecording>& owner) {
  auto log = std::make_shared<ProfileLog>();
  log->recording = owner;
  log->thread = static_cast<int>(recording.logs.size());
  log->label = log->thread == 0 ? "main" : concat("thread ", log->thread, " (", current_device(), ")");
  recording.logs.push_back(log);
  return log;
}

// The log of this thread in the current recording; null if there is none any more.
ProfileLog* log_of_thread() {
  const uint64_t id = current_id.load(std::memory_order_acquire);
  if (id == 0 || thread_ends) return nullptr;
  std::shared_ptr<ProfileLog>& log = holder().log;
  if (log && log->recording->id == id) return log.get();
  const std::lock_guard lock(process().mutex);
  const auto& recording = process().recording;
  log = recording ? new_log(*recording, recording) : nullptr;
  return log.get();
}

bool is_timed(ProfileKind kind, const Stream& stream) {
  return !stream.device.is_cpu() && (kind == ProfileKind::operation || kind == ProfileKind::copy);
}

// A mark in the stream; false if the device is not able to.
bool mark_stream(Event& event, const Stream& stream) noexcept {
  try {
    event.record(stream, true);
    return true;
  } catch (...) {
    return false;  // the operation itself reports what is wrong with the device
  }
}

struct Beginning {
  ProfileKind kind;
  std::string_view name;
  bool copy_name = false;
  const Stream* stream = nullptr;
  int64_t bytes = -1;
  std::string_view shape = {};
  bool is_part = false;  // nothing nests in it, and its marks are all made now
};

void show(ProfileMark& mark, const Beginning& what) {
  if (const RangeDisplay* shown = display.load(std::memory_order_acquire)) {
    shown->push(std::string(operation_of(what.name)).c_str());
    mark.bits |= profile_shows;
  }
}

void log_beginning(ProfileMark& mark, const Beginning& what) {
  ProfileLog* log = log_of_thread();
  if (!log) return;
  const Stream stream = what.stream ? *what.stream : Stream{current_device()};
  const std::lock_guard lock(log->mutex);
  if (log->closed) return;
  const bool inside_copy = !log->open.empty() && log->entries[log->open.back()].kind == ProfileKind::copy;
  if ((inside_copy && what.kind == ProfileKind::operation) || !log->recording->takes_one_more()) return;
  const auto kept = [&](std::string_view text) { return log->texts.emplace(text).first->c_str(); };
  const auto index = static_cast<uint32_t>(log->entries.size());
  log->entries.push_back({.name = what.copy_name ? kept(what.name) : what.name.data(),
                          .shape = what.shape.empty() ? "" : kept(what.shape),
                          .kind = what.kind,
                          .state = ProfileLog::State::open,
                          .on_stream = what.stream != nullptr,
                          .depth = static_cast<int32_t>(log->open.size()),
                          .timed = -1,
                          .stream = stream,
                          .begin = 0,
                          .end = 0,
                          .bytes = what.bytes,
                          .in_use = -1});
  if (!what.is_part) log->open.push_back(index);
  mark.index = index;
  mark.recording = log->recording->id;
  mark.bits |= profile_records;
  ProfileLog::Entry& entry = log->entries[index];
  if (is_timed(what.kind, stream)) {
    log->timed.emplace_back();
    ProfileLog::Timed& timed = log->timed.back();
    if (mark_stream(timed.begin, stream) && (!what.is_part || mark_stream(timed.end, stream)))
      entry.timed = static_cast<int32_t>(log->timed.size()) - 1;
  }
  entry.begin = log->recording->now();
}

void begin_entry(ProfileMark& mark, const Beginning& what) noexcept try {
  const uint32_t mode = profiling.load(std::memory_order_relaxed);
  if (mode & profile_shows) show(mark, what);
  if (mode & profile_records) log_beginning(mark, what);
} catch (...) {
  // No memory for one more event: it is left out, or does not end.
}

// The log that the entry is in; null if the profile that it began in has ended.
ProfileLog* log_of(const ProfileMark& mark) {
  ProfileLog* log = thread_ends ? nullptr : holder().log.get();
  return log && log->recording->id == mark.recording ? log : nullptr;
}

void log_end(const ProfileMark& mark, bool failed) {
  ProfileLog* log = log_of(mark);
  if (!log) return;
  const std::lock_guard lock(log->mutex);
  if (log->closed) return;
  ProfileLog::Entry& entry = log->entries[mark.index];
  entry.end = log->recording->now();
  entry.state = failed ? ProfileLog::State::failed : ProfileLog::State::ended;
  if (entry.timed >= 0) {
    ProfileLog::Timed& timed = log->timed[static_cast<size_t>(entry.timed)];
    timed.ended = mark_stream(timed.end, entry.stream);
  }
  while (!log->open.empty() && log->open.back() >= mark.index) log->open.pop_back();
}

void end_entry(ProfileMark& mark, bool failed) noexcept {
  if (mark.bits & profile_records) log_end(mark, failed);
  if (mark.bits & profile_shows) display.load(std::memory_order_acquire)->pop();
  mark.bits = 0;
}

// The kernel's call that this thread is in, and what was said of the next one.
constinit thread_local ProfileMark running_call = {};
struct NextCall {
  const KernelBase* kernel = nullptr;
  const char* operation = nullptr;
  int64_t bytes = -1;
  size_t shape_length = 0;
  char shape[64] = {};
};
constinit thread_local NextCall next_call = {};

// Kernels contain no scopes, so a call that is still open when something else begins or ends has thrown.
void fail_operation() noexcept {
  if (running_call.bits) end_entry(running_call, true);
}

void observe(const KernelBase& kernel, Stream stream, bool done) {
  if (done) return end_entry(running_call, false);
  fail_operation();
  const bool said = next_call.kernel == &kernel;
  const char* name = said && next_call.operation ? next_call.operation : kernel.name;
  begin_entry(running_call, {.kind = ProfileKind::operation,
                             .name = name,
                             .stream = &stream,
                             .bytes = said ? next_call.bytes : -1,
                             .shape = said ? std::string_view(next_call.shape, next_call.shape_length) : ""});
  next_call.kernel = nullptr;
}

// What is on, seen by scopes and by kernels.
void set_profiling(uint32_t bits) noexcept {
  profiling.store(bits, std::memory_order_relaxed);
  kernel_observer.store(bits ? &observe : nullptr, std::memory_order_release);
}

}  // namespace

bool ProfileRecording::takes_one_more() noexcept {
  if (count.fetch_add(1, std::memory_order_relaxed) < options.limit) return true;
  dropped.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void start_recording(const std::shared_ptr<ProfileRecording>& recording) {
  const std::lock_guard lock(process().mutex);
  WEFT_CHECK(Error, !process().recording, "Profile: another one records already; stop() it first");
  recording->id = process().next_id++;
  process().recording = recording;
  holder().log = new_log(*recording, recording);
  current_id.store(recording->id, std::memory_order_release);
  set_profiling(profile_records | (recording->options.nvtx || always_shown ? profile_shows : 0));
}

std::vector<std::shared_ptr<ProfileLog>> end_recording(ProfileRecording& recording) {
  std::vector<std::shared_ptr<ProfileLog>> logs;
  {
    const std::lock_guard lock(process().mutex);
    current_id.store(0, std::memory_order_release);
    set_profiling(always_shown ? profile_shows : 0);
    process().recording = nullptr;
    logs.swap(recording.logs);
  }
  for (const auto& log : logs) {
    const std::lock_guard lock(log->mutex);
    log->closed = true;
  }
  return logs;
}

void ProfileScope::begin(ProfileKind kind, std::string_view name, bool copy_name, const Stream* stream,
                         int64_t bytes) noexcept {
  fail_operation();
  begin_entry(mark_, {.kind = kind, .name = name, .copy_name = copy_name, .stream = stream, .bytes = bytes});
}

void ProfileScope::begin_copy(Device from, Device to, Stream stream, int64_t bytes) noexcept try {
  begin(ProfileKind::copy, concat("copy ", from, " to ", to), true, &stream, bytes);
} catch (...) {
}

void ProfileScope::end() noexcept {
  fail_operation();
  end_entry(mark_, false);
}

void ProfileParts::make(const char* name, std::string_view shape, std::span<const Stream> streams,
                        int64_t bytes) noexcept try {
  if (!(profiling.load(std::memory_order_relaxed) & profile_records)) return;
  fail_operation();
  marks_.resize(streams.size());
  for (size_t i = 0; i < streams.size(); ++i)
    log_beginning(marks_[i], {.kind = ProfileKind::operation,
                              .name = name,
                              .stream = &streams[i],
                              .bytes = bytes,
                              .shape = shape,
                              .is_part = true});
} catch (...) {
}

void ProfileParts::begin() noexcept {
  for (const ProfileMark& mark : marks_) {
    ProfileLog* log = mark.bits ? log_of(mark) : nullptr;
    if (!log) continue;
    const std::lock_guard lock(log->mutex);
    if (log->closed) continue;
    ProfileLog::Entry& entry = log->entries[mark.index];
    if (entry.timed >= 0) mark_stream(log->timed[static_cast<size_t>(entry.timed)].begin, entry.stream);
    entry.begin = log->recording->now();
  }
}

void ProfileParts::finish(bool failed) noexcept {
  for (ProfileMark& mark : marks_) end_entry(mark, failed);
}

void profile_next_call(const KernelBase& kernel, const char* operation, int64_t bytes,
                       std::string_view shape) noexcept {
  next_call.kernel = &kernel;
  next_call.operation = operation;
  next_call.bytes = bytes;
  next_call.shape_length = std::min(shape.size(), sizeof next_call.shape);
  std::copy_n(shape.data(), next_call.shape_length, next_call.shape);
}

void profile_memory(Stream stream, int64_t bytes, int64_t in_use) noexcept try {
  if (!(profiling.load(std::memory_order_relaxed) & profile_records)) return;
  ProfileLog* log = log_of_thread();
  if (!log) return;
  ProfileRecording& recording = *log->recording;
  if (bytes >= 0) {
    auto& memory = recording.memory[static_cast<size_t>(stream.device.type)]
                                   [static_cast<size_t>(stream.device.index) % max_cpu_devices];
    memory.allocations.fetch_add(1, std::memory_order_relaxed);
    memory.bytes.fetch_add(bytes, std::memory_order_relaxed);
    int64_t seen = memory.peak.load(std::memory_order_relaxed);
    while (in_use > seen && !memory.peak.compare_exchange_weak(seen, in_use, std::memory_order_relaxed)) {
    }
  }
  if (!recording.options.memory) return;
  const std::lock_guard lock(log->mutex);
  if (log->closed || !recording.takes_one_more()) return;
  const int64_t now = recording.now();
  log->entries.push_back({.name = bytes >= 0 ? "allocation" : "release",
                          .shape = "",
                          .kind = bytes >= 0 ? ProfileKind::allocation : ProfileKind::release,
                          .state = ProfileLog::State::ended,
                          .on_stream = true,
                          .depth = static_cast<int32_t>(log->open.size()),
                          .timed = -1,
                          .stream = stream,
                          .begin = now,
                          .end = now,
                          .bytes = bytes >= 0 ? bytes : -bytes,
                          .in_use = in_use});
} catch (...) {
}

void register_range_display(const RangeDisplay& shown, bool always) noexcept {
  display.store(&shown, std::memory_order_release);
  if (!always) return;
  const std::lock_guard lock(process().mutex);
  always_shown = true;
  set_profiling(profiling.load(std::memory_order_relaxed) | profile_shows);
}

}  // namespace weft::detail
