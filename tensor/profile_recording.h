// What a Profile gathers while it records: a log per thread. Private to tensor/profile*.cpp.
#pragma once

#include <array>
#include <chrono>
#include <mutex>
#include <unordered_set>

#include "weft/tensor/profile.h"

namespace weft::detail {

struct ProfileRecording;

/// What one thread did. Its mutex is almost never contended: the thread itself, and stop() once.
struct ProfileLog {
  enum class State : uint8_t { open, ended, failed };
  struct Entry {
    const char* name;
    const char* shape;
    ProfileKind kind;
    State state;
    bool on_stream;
    int32_t depth;
    int32_t timed;  // index into `timed`, -1 if the host's times are all
    Stream stream;
    int64_t begin, end;  // nanoseconds since the recording began
    int64_t bytes, in_use;
  };
  struct Timed {
    Event begin, end;
    bool ended = false;
  };

  std::shared_ptr<ProfileRecording> recording;
  int thread = 0;
  std::string label;
  std::mutex mutex;  // of what follows
  bool closed = false;
  std::vector<Entry> entries;
  std::vector<uint32_t> open;  // entries that have not ended, outermost first
  std::vector<Timed> timed;
  std::unordered_set<std::string> texts;  // names and shapes that are no literals; their addresses are stable
};

struct ProfileRecording {
  struct Memory {
    std::atomic<int64_t> allocations{0}, bytes{0}, peak{0};
  };

  ProfileOptions options;
  uint64_t id = 0;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  std::atomic<int64_t> count{0}, dropped{0};
  std::array<std::array<Memory, max_cpu_devices>, device_types> memory;
  std::vector<std::shared_ptr<ProfileLog>> logs;  // under the mutex of the current recording

  int64_t now() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
  }
  /// False, and counted, if the limit is reached.
  bool takes_one_more() noexcept;
};

/// "softmax" of "softmax_kernel"; other names as they are.
inline std::string_view operation_of(std::string_view name) {
  constexpr std::string_view suffix = "_kernel";
  if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
  return name;
}

/// Makes `recording` the one of the process; throws Error if there is one.
void start_recording(const std::shared_ptr<ProfileRecording>& recording);
/// Nothing is added to the logs afterwards. In order of threads.
std::vector<std::shared_ptr<ProfileLog>> end_recording(ProfileRecording& recording);

}  // namespace weft::detail

namespace weft {

struct Profile::Results {
  std::vector<ProfileEvent> events;
  std::vector<std::string> threads;
  std::vector<ProfileMemory> memory;
  std::vector<std::shared_ptr<detail::ProfileLog>> logs;  // own the texts
  int64_t dropped = 0;
  int64_t limit = 0;
  double duration = 0;
  std::string trouble;  // why times of a device are missing
};

}  // namespace weft
