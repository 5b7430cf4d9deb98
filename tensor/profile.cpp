// A Profile's end: the logs of the threads become events, and marks in CUDA streams become times.
#include "weft/tensor/profile.h"

#include <algorithm>
#include <map>

#include "weft/tensor/backend.h"
#include "weft/tensor/error.h"
#include "weft/tensor/profile_recording.h"
#include "weft/tensor/untold.h"

namespace weft {

namespace {

using detail::ProfileLog;

double micro(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

ProfileEvent event_of(const ProfileLog::Entry& entry, int thread, int64_t stopped) {
  const bool finished = entry.state != ProfileLog::State::open;
  return {.name = detail::operation_of(entry.name),
          .shape = entry.shape,
          .kind = entry.kind,
          .thread = thread,
          .depth = entry.depth,
          .on_stream = entry.on_stream,
          .stream = entry.stream,
          .begin = micro(entry.begin),
          .end = micro(finished ? entry.end : std::max(stopped, entry.begin)),
          .finished = finished,
          .failed = entry.state == ProfileLog::State::failed,
          .bytes = entry.bytes,
          .in_use = entry.in_use};
}

// A timed event of a CUDA device and its marks.
struct Marked {
  ProfileEvent* event;
  const ProfileLog::Timed* marks;
};

// A device's clock has no zero that the host knows: a last mark, waited for, ties it to the host's. Marks are waited
// for as events, not as streams: errors that kernels left there are for whoever reads their results. Returns what was
// wrong.
std::string read_times(Device device, const std::vector<Marked>& marked,
                       const detail::ProfileRecording& recording) try {
  const detail::UntoldScope untold(detail::Caught::all);
  std::string trouble;
  for (const Marked& m : marked) m.marks->end.synchronize();
  Event last;
  last.record({device, 0}, true);
  last.synchronize();
  const double now = micro(recording.now());
  for (const Marked& m : marked) {
    try {
      const double begin = std::max(now - last.elapsed_ms(m.marks->begin) * 1000, 0.0);
      m.event->device_end = begin + std::max(m.marks->end.elapsed_ms(m.marks->begin) * 1000, 0.0);
      m.event->device_begin = begin;
    } catch (const Error& error) {  // a mark that never ran; the others are as good as ever
      trouble = error.what();
    }
  }
  return trouble;
} catch (const Error& error) {
  return error.what();
}

// A stream does one thing at a time, whatever rounding says and whichever threads' marks lie between each other's.
void untangle(std::vector<Marked>& marked) {
  std::stable_sort(marked.begin(), marked.end(),
                   [](const Marked& a, const Marked& b) { return a.event->device_begin < b.event->device_begin; });
  std::map<uint64_t, double> free_from;
  for (const Marked& m : marked) {
    if (!m.event->has_device_time()) continue;
    double& earliest = free_from[m.event->stream.id];
    m.event->device_begin = std::max(m.event->device_begin, earliest);
    m.event->device_end = earliest = std::max(m.event->device_end, m.event->device_begin);
  }
}

void clear(detail::ProfileLog& log) {
  log.entries.clear();
  log.entries.shrink_to_fit();
  log.timed.clear();
}

}  // namespace

Profile::Profile(const ProfileOptions& options) : recording_(std::make_shared<detail::ProfileRecording>()) {
  WEFT_CHECK(Error, options.limit >= 0, "Profile: a limit of ", options.limit, " events; use 0 or more");
  detail::ensure_loaded();
  recording_->options = options;
  detail::start_recording(recording_);
}

Profile::~Profile() {
  if (!recording_) return;
  for (const auto& log : detail::end_recording(*recording_)) clear(*log);  // threads keep their logs for a while
}

void Profile::stop() {
  if (!recording_) return;
  const std::shared_ptr<detail::ProfileRecording> recording = std::move(recording_);
  auto results = std::make_unique<Results>();
  results->logs = detail::end_recording(*recording);
  const int64_t stopped = recording->now();
  results->duration = micro(stopped);
  results->dropped = recording->dropped.load(std::memory_order_relaxed);
  results->limit = recording->options.limit;

  size_t count = 0;
  for (const auto& log : results->logs) count += log->entries.size();
  results->events.reserve(count);  // events keep their places: Marked points to them
  std::map<Device, std::vector<Marked>> marked;
  for (const auto& log : results->logs) {
    results->threads.push_back(log->label);
    for (const ProfileLog::Entry& entry : log->entries) {
      results->events.push_back(event_of(entry, log->thread, stopped));
      if (entry.timed < 0) continue;
      const ProfileLog::Timed& marks = log->timed[static_cast<size_t>(entry.timed)];
      if (marks.ended) marked[entry.stream.device].push_back({&results->events.back(), &marks});
    }
  }
  for (auto& [device, list] : marked) {
    const std::string trouble = read_times(device, list, *recording);
    untangle(list);
    if (!trouble.empty()) results->trouble += "times of " + to_string(device) + " are missing: " + trouble + "\n";
  }
  for (const auto& log : results->logs) clear(*log);
  for (size_t type = 0; type < recording->memory.size(); ++type)
    for (size_t index = 0; index < recording->memory[type].size(); ++index) {
      const auto& memory = recording->memory[type][index];
      if (const int64_t n = memory.allocations.load(std::memory_order_relaxed); n > 0)
        results->memory.push_back({Device(static_cast<DeviceType>(type), static_cast<int>(index)), n,
                                   memory.bytes.load(std::memory_order_relaxed),
                                   memory.peak.load(std::memory_order_relaxed)});
    }
  results_ = std::move(results);
}

const std::vector<ProfileEvent>& Profile::events() {
  stop();
  return results_->events;
}
const std::vector<std::string>& Profile::threads() {
  stop();
  return results_->threads;
}
std::vector<ProfileMemory> Profile::memory() {
  stop();
  return results_->memory;
}
int64_t Profile::dropped() {
  stop();
  return results_->dropped;
}
double Profile::duration() {
  stop();
  return results_->duration;
}

const char* to_string(ProfileKind kind) {
  constexpr const char* names[profile_kinds] = {"operation", "copy", "collective", "meeting",    "wait",
                                                "pass",      "node", "range",      "allocation", "release"};
  return names[static_cast<size_t>(kind)];
}

}  // namespace weft
