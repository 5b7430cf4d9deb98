// Profile: what the whole process does while it lives, by threads and by streams of devices.
//
//   Profile profile;
//   {
//     ProfileRange range("epoch 3");
//     train();
//   }
//   std::printf("%s", profile.table().c_str());
//   profile.save_trace("trace.json");  // for chrome://tracing and Perfetto
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weft/tensor/profile_scope.h"

namespace weft {

namespace detail {
struct ProfileRecording;
}

struct ProfileOptions {
  int64_t limit = 200'000;  ///< events that are kept, about 100 bytes each; later ones are only counted
  bool memory = true;       ///< also an event for every storage that is made or released; peaks are known without
  bool nvtx = false;        ///< shows the scopes of every thread to NVIDIA's tools; needs the CUDA backend
};

/// Times are microseconds since the profile began.
struct ProfileEvent {
  std::string_view name;   ///< lives as long as the Profile, as `shape` does
  std::string_view shape;  ///< of an operation's first operand, "float32[8, 3, 32, 32]"; empty if unknown
  ProfileKind kind = ProfileKind::range;
  int thread = 0;          ///< index into Profile::threads()
  int depth = 0;           ///< number of events of the same thread around it
  bool on_stream = false;  ///< else it is the host's alone
  Stream stream;           ///< if not on a stream: of the thread's device
  double begin = 0, end = 0;
  bool finished = true;  ///< false: the profile ended first, and `end` is its end
  bool failed = false;   ///< an operation that threw; `end` is when something else began or ended in the thread
  /// When a CUDA device did it; what `begin` and `end` say then is when the host queued it. Both -1 if not known.
  double device_begin = -1, device_end = -1;
  int64_t bytes = -1;   ///< read and written, copied, or allocated; -1 if unknown
  int64_t in_use = -1;  ///< allocation, release: bytes in use on the device afterwards

  bool has_device_time() const { return device_end >= 0; }
  /// On the device where that is known, else on the host.
  double duration() const { return has_device_time() ? device_end - device_begin : end - begin; }
};

/// All events of one kind and name.
struct ProfileRow {
  std::string name;
  ProfileKind kind = ProfileKind::range;
  int64_t calls = 0;
  double total = 0;    ///< microseconds
  double share = 0;    ///< of the total of operations and copies; 0 for other kinds, which contain those
  int64_t bytes = -1;  ///< of the calls whose bytes are known; -1 if there are none
  double rate = 0;     ///< 1e9 bytes per second of those calls
  double mean() const { return total / static_cast<double>(calls); }
};

/// Storages of one device while the profile lived.
struct ProfileMemory {
  Device device;
  int64_t allocations = 0;
  int64_t bytes = 0;  ///< of all allocations
  int64_t peak = 0;   ///< most bytes in use after an allocation
};

class Profile {
 public:
  /// Starts recording, in all threads. Throws Error if another Profile records.
  explicit Profile(const ProfileOptions& options = {});
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// Ends the recording: waits until CUDA devices have done what was recorded, and reads their times. Work that other
  /// threads are in the middle of ends here, unfinished. Everything below does this first. Any thread may call it once
  /// at a time.
  void stop();
  /// By thread, and in each thread in the order in which they began.
  const std::vector<ProfileEvent>& events();
  /// "main" (the one that made the Profile), "thread 2 (cuda:1)" …
  const std::vector<std::string>& threads();
  /// Operations and copies by total time, then the other kinds.
  std::vector<ProfileRow> rows();
  std::vector<ProfileMemory> memory();
  /// Events that the limit left out.
  int64_t dropped();
  /// Microseconds from start to stop.
  double duration();

  /// rows() and memory() as a table. Times in milliseconds (`mean` in microseconds), MB of 1e6 bytes.
  std::string table();
  /// Chrome's trace format: a process for the host, with a row per thread, and one per device, with a row per stream
  /// (CPU: per thread, as its streams run inline). Throws Error naming the path if it cannot be written.
  void save_trace(const std::string& path);

 private:
  struct Results;
  std::shared_ptr<detail::ProfileRecording> recording_;  // until stop()
  std::unique_ptr<Results> results_;
};

/// A stretch of this thread's work with a name of the user's, for a Profile and for NVTX. One relaxed load without
/// them.
class ProfileRange {
 public:
  explicit ProfileRange(std::string_view name) noexcept : scope_(ProfileKind::range, name) {}

 private:
  detail::ProfileScope scope_;
};

/// "operation"
const char* to_string(ProfileKind kind);

}  // namespace weft
