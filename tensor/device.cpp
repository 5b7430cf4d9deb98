#include "weft/tensor/device.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

#include "weft/tensor/backend.h"
#include "weft/tensor/cpu/cpu_backend.h"
#include "weft/tensor/error.h"
#include "weft/tensor/profile_scope.h"
#include "weft/tensor/stream_order.h"

namespace weft {

namespace {

constinit std::array<std::atomic<Backend*>, device_types> backends = {};

// The current device, and the current stream of every device whose stream is not the default one (see set_in).
struct Current {
  Device device;
  std::vector<Stream> streams;
};
Current& current() noexcept {
  static thread_local Current instance;
  return instance;
}

int cpu_devices_listed() {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  const int fallback = std::min(std::max(cores, 1), max_cpu_devices);
  const char* text = std::getenv("WEFT_CPU_DEVICES");
  if (!text || !*text) return fallback;
  int count = 0;
  const std::string_view value = text;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  WEFT_CHECK(DeviceError,
             error == std::errc() && end == value.data() + value.size() && count >= 1 && count <= max_cpu_devices,
             "WEFT_CPU_DEVICES: '", value, "' is not a number from 1 to ", max_cpu_devices);
  return count;
}

}  // namespace

std::string to_string(DeviceType type) { return type == DeviceType::cpu ? "cpu" : "cuda"; }
std::string to_string(Device device) { return detail::concat(device.type, ":", device.index); }
std::string to_string(Stream stream) { return detail::concat("stream ", stream.id, " of ", stream.device); }

Device::Device(std::string_view name) {
  const auto colon = name.find(':');
  const std::string_view kind = name.substr(0, colon);
  int number = 0;
  bool ok = kind == "cpu" || kind == "cuda";
  if (ok && colon != std::string_view::npos) {
    const char* end = name.data() + name.size();
    const auto result = std::from_chars(name.data() + colon + 1, end, number);
    ok = result.ec == std::errc() && result.ptr == end && number >= 0 && number < 32768 && name[colon + 1] != '-';
  }
  WEFT_CHECK(DeviceError, ok, "device: '", name, "' is not a device; write cpu, cpu:1, cuda or cuda:0");
  type = kind == "cpu" ? DeviceType::cpu : DeviceType::cuda;
  index = static_cast<int16_t>(number);
}

void detail::register_backend(DeviceType type, Backend* b) noexcept {
  backends[static_cast<size_t>(type)].store(b, std::memory_order_release);
}

void detail::ensure_loaded() {
  static std::once_flag once;
  std::call_once(once, [] {
    cpu::load();
    load_backends();
  });
}

Backend& backend(DeviceType type) {
  auto& slot = backends[static_cast<size_t>(type)];
  Backend* found = slot.load(std::memory_order_acquire);
  if (!found) {
    detail::ensure_loaded();
    found = slot.load(std::memory_order_acquire);
  }
  if (!found) fail<DeviceError>(why_unavailable(type));
  return *found;
}

int device_count(DeviceType type) noexcept {
  try {
    detail::ensure_loaded();
    const Backend* b = backends[static_cast<size_t>(type)].load(std::memory_order_acquire);
    return b ? b->device_count() : 0;
  } catch (...) {
    return 0;
  }
}

std::string why_unavailable(DeviceType type) {
  // The backend is asked before devices are counted: it may know why they could not be counted just now.
  detail::ensure_loaded();
  const Backend* b = backends[static_cast<size_t>(type)].load(std::memory_order_acquire);
  const std::string why = b ? b->why_unavailable() : "weft was built without it";
  if (why.empty()) return "";
  return detail::concat(type, " is not available: ", why, "; weft uses the CPU");
}

std::vector<Device> available_devices() {
  std::vector<Device> devices;
  const int gpus = device_count(DeviceType::cuda);
  for (int i = 0; i < gpus; ++i) devices.push_back({DeviceType::cuda, i});
  if (gpus == 0)
    for (int i = 0; i < cpu_devices_listed(); ++i) devices.push_back({DeviceType::cpu, i});
  return devices;
}

void check_exists(Device device) {
  const int count = device.is_cpu() ? max_cpu_devices : device_count(device.type);
  if (device.index < count) return;
  if (count == 0) fail<DeviceError>("device ", device, " does not exist: ", why_unavailable(device.type));
  if (device.is_cpu())
    fail<DeviceError>("device ", device, " does not exist; CPU devices are cpu:0 to cpu:", max_cpu_devices - 1);
  fail<DeviceError>("device ", device, " does not exist; ", count, count == 1 ? " CUDA device is" : " CUDA devices are",
                    " present");
}

Device current_device() noexcept { return current().device; }
Stream current_stream() noexcept { return current_stream(current().device); }
Stream current_stream(Device device) noexcept { return stream_in(current().streams, device); }
std::vector<Stream> current_streams() { return current().streams; }

Stream Stream::create(Device device) {
  check_exists(device);
  return {device, backend(device.type).create_stream(device.index)};
}

void Stream::synchronize() const {
  if (device.is_cpu()) return;
  const detail::ProfileScope scope(ProfileKind::wait, "host waits for stream", *this);
  backend(device.type).synchronize(*this);
}

void Stream::wait(const Event& event) const {
  // A CPU stream runs inline, so it waits as the host does; a CPU event is always complete.
  if (device.is_cpu())
    event.synchronize();
  else if (event.handle_ && !event.device_.is_cpu()) {
    const detail::ProfileScope scope(ProfileKind::wait, "stream waits for event", *this);
    backend(device.type).wait(*this, event.handle_);
  }
}

void synchronize(Device device) {
  check_exists(device);
  if (device.is_cpu()) return;
  const detail::ProfileScope scope(ProfileKind::wait, "host waits for device", Stream{device});
  backend(device.type).synchronize_device(device.index);
}

void synchronize() {
  for (const DeviceType type : {DeviceType::cpu, DeviceType::cuda}) {
    const int count = type == DeviceType::cpu ? 0 : device_count(type);  // CPU streams are never behind
    for (int i = 0; i < count; ++i) synchronize(Device(type, i));
  }
}

DeviceGuard::DeviceGuard(Device device) : previous_(current().device) {
  check_exists(device);
  current().device = device;
}
DeviceGuard::~DeviceGuard() { current().device = previous_; }

StreamGuard::StreamGuard(Stream stream) : previous_(current_stream(stream.device)), device_(current().device) {
  check_exists(stream.device);
  current().device = stream.device;
  set_in(current().streams, stream);
}
StreamGuard::~StreamGuard() {
  current().device = device_;
  set_in(current().streams, previous_);
}

StreamsGuard::StreamsGuard(std::vector<Stream> streams) noexcept : previous_(std::move(streams)) {
  previous_.swap(current().streams);
}
StreamsGuard::~StreamsGuard() { previous_.swap(current().streams); }

Event::~Event() {
  if (handle_) backend(device_.type).destroy_event(handle_, device_.index);
}
Event::Event(Event&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), device_(other.device_), timing_(other.timing_) {}
Event& Event::operator=(Event&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(device_, other.device_);
  std::swap(timing_, other.timing_);
  return *this;
}

void Event::record(Stream stream, bool timing) {
  Backend& b = backend(stream.device.type);
  if (handle_ && (device_ != stream.device || timing_ != timing)) {
    backend(device_.type).destroy_event(handle_, device_.index);
    handle_ = nullptr;
  }
  if (!handle_) handle_ = b.create_event(stream.device.index, timing);
  device_ = stream.device;
  timing_ = timing;
  b.record(handle_, stream);
}

bool Event::query() const { return !handle_ || backend(device_.type).query(handle_, device_.index); }
void Event::synchronize() const {
  if (!handle_ || device_.is_cpu()) return;
  const detail::ProfileScope scope(ProfileKind::wait, "host waits for event", Stream{device_});
  backend(device_.type).synchronize_event(handle_, device_.index);
}

double Event::elapsed_ms(const Event& start) const {
  WEFT_CHECK(Error, handle_ && start.handle_ && timing_ && start.timing_,
             "elapsed_ms: both events must have been recorded with timing = true");
  WEFT_CHECK(DeviceError, device_ == start.device_, "elapsed_ms: events of ", start.device_, " and ", device_);
  start.synchronize();
  synchronize();
  return backend(device_.type).elapsed_ms(start.handle_, handle_, device_.index);
}

}  // namespace weft
