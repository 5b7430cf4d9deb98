// Device and Stream: plain values that say where something runs. Guards change the current ones of this thread.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

enum class DeviceType : uint8_t { cpu, cuda };
inline constexpr int device_types = 2;
/// The CPU counts as this many devices: names cpu:0 … cpu:63 over the same memory and cores.
inline constexpr int max_cpu_devices = 64;

std::string to_string(DeviceType type);

struct Device {
  DeviceType type = DeviceType::cpu;
  int16_t index = 0;

  constexpr Device() = default;
  constexpr Device(DeviceType t, int i) : type(t), index(static_cast<int16_t>(i)) {}
  /// "cpu", "cpu:1", "cuda:0". Throws DeviceError on anything else; does not ask whether the device exists.
  Device(std::string_view name);
  Device(const char* name) : Device(std::string_view(name)) {}
  Device(const std::string& name) : Device(std::string_view(name)) {}

  bool is_cpu() const { return type == DeviceType::cpu; }
  friend constexpr bool operator==(Device, Device) = default;
  friend constexpr auto operator<=>(Device, Device) = default;
};

/// "cuda:1"
std::string to_string(Device device);
std::ostream& operator<<(std::ostream& out, Device device);

/// A queue of work on one device. Id 0 is the device's default stream, created by weft: never CUDA's legacy stream.
/// CPU streams run inline: work is done when the call returns.
struct Stream {
  Device device;
  uint64_t id = 0;

  friend constexpr bool operator==(Stream, Stream) = default;
  /// A new stream of the device; it lives until the process ends. Throws DeviceError.
  static Stream create(Device device);
  /// Waits until all work queued so far is done. Asynchronous errors surface here.
  void synchronize() const;
  /// Work queued here from now on starts after the event. No host wait.
  void wait(const class Event& event) const;
};

std::string to_string(Stream stream);

/// Number of devices of a type; 0 without a driver. Never throws.
int device_count(DeviceType type) noexcept;
/// Why there is no device of this type, e.g. "cuda is not available: no CUDA driver; weft uses the CPU"; empty if there
/// is one.
std::string why_unavailable(DeviceType type);
/// All CUDA devices if there are any; else cpu:0 … one per core (WEFT_CPU_DEVICES in the environment sets the number).
std::vector<Device> available_devices();
/// Throws DeviceError `device cuda:9 does not exist; 2 CUDA devices are present`.
void check_exists(Device device);

/// The device new tensors are made on by this thread; cpu:0 at first.
Device current_device() noexcept;
/// The stream this thread queues work on, for the current or a given device.
Stream current_stream() noexcept;
Stream current_stream(Device device) noexcept;
/// Waits for all streams of one device, or of all devices in use.
void synchronize(Device device);
void synchronize();

/// Makes a device current in this thread until the end of the scope.
class DeviceGuard {
 public:
  explicit DeviceGuard(Device device);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  Device previous_;
};

/// Makes a stream, and its device, current in this thread until the end of the scope.
class StreamGuard {
 public:
  explicit StreamGuard(Stream stream);
  ~StreamGuard();
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;

 private:
  Stream previous_;  // the former current stream of the same device
  Device device_;    // the former current device
};

/// A point in a stream that other streams and the host can wait for. Move-only owner.
class Event {
 public:
  Event() noexcept = default;
  ~Event();
  Event(Event&& other) noexcept;
  Event& operator=(Event&& other) noexcept;

  /// Marks the end of the work queued on `stream` so far; may be called again. `timing` must be set to use elapsed_ms.
  void record(Stream stream, bool timing = false);
  /// True if the marked work is done, or nothing was recorded.
  bool query() const;
  /// Host wait.
  void synchronize() const;
  /// Milliseconds from `start` to this event; both recorded with timing. Throws Error otherwise.
  double elapsed_ms(const Event& start) const;

 private:
  friend struct Stream;
  void* handle_ = nullptr;
  Device device_;
  bool timing_ = false;
};

}  // namespace weft

template <>
struct std::hash<weft::Device> {
  size_t operator()(weft::Device d) const noexcept {
    return static_cast<size_t>(d.type) << 16 | static_cast<uint16_t>(d.index);
  }
};
template <>
struct std::hash<weft::Stream> {
  size_t operator()(weft::Stream s) const noexcept {
    return s.id * 0x9e3779b97f4a7c15u ^ std::hash<weft::Device>()(s.device);
  }
};
