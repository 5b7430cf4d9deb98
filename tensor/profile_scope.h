// ProfileScope: a stretch of this thread's work that a Profile (profile.h) records while one lives. Without one it
// costs one relaxed load.
#pragma once

#include <atomic>
#include <span>
#include <string_view>
#include <vector>

#include "weft/tensor/device.h"

namespace weft {

enum class ProfileKind : uint8_t {
  operation,   ///< a call of a kernel (kernel.h tells of them), or a device's part of a collective (ProfileParts)
  copy,        ///< between devices
  collective,  ///< over ranks, by the thread that does the joint work
  meeting,     ///< a rank's wait for the others and for the joint work
  wait,        ///< of the host for a stream or an event, or of a stream for an event
  pass,        ///< a backward pass, an update of parameters
  node,        ///< one operation of a backward pass
  range,       ///< a ProfileRange
  allocation,  ///< of a storage; bytes are its size
  release,
};
inline constexpr int profile_kinds = 10;

struct KernelBase;

namespace detail {

/// Bits of `profiling`: a Profile records; scopes are shown to a tool outside.
inline constexpr uint32_t profile_records = 1, profile_shows = 2;
inline constinit std::atomic<uint32_t> profiling{0};

/// Something that began, until it ends.
struct ProfileMark {
  uint32_t bits = 0;       ///< of `profiling`, that it began under
  uint32_t index = 0;      ///< of its entry in the thread's log
  uint64_t recording = 0;  ///< that the log belongs to
};

/// Begins where it is made and ends with its scope, in one thread; scopes of a thread nest. Never throws.
class ProfileScope {
 public:
  /// Work of the host. `name`: a literal.
  ProfileScope(ProfileKind kind, const char* name, int64_t bytes = -1) noexcept {
    if (profiling.load(std::memory_order_relaxed)) [[unlikely]]
      begin(kind, name, false, nullptr, bytes);
  }
  /// The name is copied.
  ProfileScope(ProfileKind kind, std::string_view name) noexcept {
    if (profiling.load(std::memory_order_relaxed)) [[unlikely]]
      begin(kind, name, true, nullptr, -1);
  }
  /// Work on a stream; bytes read and written, -1 if unknown. Of operations and copies on a CUDA stream the device's
  /// time is taken too. `name`: a literal.
  ProfileScope(ProfileKind kind, const char* name, Stream stream, int64_t bytes = -1) noexcept {
    if (profiling.load(std::memory_order_relaxed)) [[unlikely]]
      begin(kind, name, false, &stream, bytes);
  }
  /// A copy of `bytes` from one device to another. Kernels that run for it are part of it and not recorded.
  ProfileScope(Device from, Device to, Stream stream, int64_t bytes) noexcept {
    if (profiling.load(std::memory_order_relaxed)) [[unlikely]]
      begin_copy(from, to, stream, bytes);
  }
  ~ProfileScope() {
    if (mark_.bits) [[unlikely]]
      end();
  }
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  void begin(ProfileKind kind, std::string_view name, bool copy_name, const Stream* stream, int64_t bytes) noexcept;
  void begin_copy(Device from, Device to, Stream stream, int64_t bytes) noexcept;
  void end() noexcept;

  ProfileMark mark_;
};

/// One launch on streams of several devices: an operation on each, side by side, with the device's time. What it needs
/// is made when it is made, so that begin() and end() allocate nothing. Parts that do not end have failed. For one
/// thread; never throws.
class ProfileParts {
 public:
  /// `name`: a literal; `shape` is copied; `bytes`: of each part.
  ProfileParts(const char* name, std::string_view shape, std::span<const Stream> streams, int64_t bytes) noexcept {
    if (profiling.load(std::memory_order_relaxed)) [[unlikely]]
      make(name, shape, streams, bytes);
  }
  ~ProfileParts() { finish(true); }
  ProfileParts(const ProfileParts&) = delete;
  ProfileParts& operator=(const ProfileParts&) = delete;

  /// Before the launch, and after it.
  void begin() noexcept;
  void end() noexcept { finish(false); }

 private:
  void make(const char* name, std::string_view shape, std::span<const Stream> streams, int64_t bytes) noexcept;
  void finish(bool failed) noexcept;

  std::vector<ProfileMark> marks_;
};

/// Says what the next call of `kernel` in this thread does: profile_work() (ops/work.h). `operation`, a literal, if the
/// kernel's name does not say it; `shape` is copied.
void profile_next_call(const KernelBase& kernel, const char* operation, int64_t bytes, std::string_view shape) noexcept;

/// A storage of `bytes` was made (or, where they are less than zero, released), and its device now has `in_use`.
void profile_memory(Stream stream, int64_t bytes, int64_t in_use) noexcept;

/// Where scopes are shown: NVTX, by the CUDA backend. Pushes and pops of a thread pair up.
struct RangeDisplay {
  void (*push)(const char* name) noexcept;
  void (*pop)() noexcept;
};
/// `display` lives for ever. `always`: from now on, also without a Profile that asks for it.
void register_range_display(const RangeDisplay& display, bool always) noexcept;

}  // namespace detail
}  // namespace weft
