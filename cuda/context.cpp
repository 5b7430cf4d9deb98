#include "weft/cuda/context.h"

#include <cstdlib>
#include <exception>
#include <vector>

#include "weft/cuda/check.h"
#include "weft/tensor/collective_stream.h"
#include "weft/tensor/error.h"

namespace weft::cuda {

namespace {

constinit std::array<std::atomic<Context*>, Context::max_devices> contexts = {};
constinit std::mutex contexts_mutex;
constinit std::atomic<int> known_devices{-1};
constinit std::atomic<cudaError_t> not_counted{cudaSuccess};  // what became of the last attempt that may be repeated
constinit std::atomic<bool> exiting{false};
thread_local int active = -1;

// Registered after CUDA's runtime has registered its own end, so it runs before that.
void register_exit() {
  static const int once = std::atexit([] { exiting.store(true, std::memory_order_release); });
  static_cast<void>(once);
}

// Whether the device `peer` may read and write memory of `index`, the current device.
bool has_access(int peer, int index) {
  int possible = 0;
  const cudaError_t status = cudaDeviceCanAccessPeer(&possible, peer, index);
  if (is_sticky(status)) {  // of the peer, which is lost and so reads nothing
    static_cast<void>(cudaGetLastError());
    return false;
  }
  if (status != cudaSuccess) raise(status, ("access of cuda:" + std::to_string(peer) + " to memory").c_str());
  return possible != 0;
}

std::string error_text(cudaError_t status) {
  return std::string("CUDA error ") + std::to_string(static_cast<int>(status)) + " (" + cudaGetErrorString(status) +
         ")";
}

std::string version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

}  // namespace

bool is_exiting() noexcept { return exiting.load(std::memory_order_acquire); }

int count_devices() noexcept {
  int count = known_devices.load(std::memory_order_acquire);
  if (count >= 0) return count;
  if (const cudaError_t status = cudaGetDeviceCount(&count); status != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    count = 0;
    if (status != cudaErrorNoDevice && status != cudaErrorInsufficientDriver) {  // which stays so
      not_counted.store(status, std::memory_order_release);
      return 0;
    }
  }
  count = count < Context::max_devices ? count : Context::max_devices;
  known_devices.store(count, std::memory_order_release);
  return count;
}

std::string why_no_devices() {
  if (const cudaError_t status = not_counted.exchange(cudaSuccess); status != cudaSuccess)
    return error_text(status) + ", which may pass";
  if (count_devices() > 0) return "";
  int driver = 0, runtime = 0;
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  const bool found = cudaDriverGetVersion(&driver) == cudaSuccess && driver != 0;
  static_cast<void>(cudaGetLastError());
  if (!found) return "no CUDA driver (weft was built for CUDA " + version(runtime) + ")";
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());
  if (status == cudaErrorInsufficientDriver)
    return "the driver supports CUDA " + version(driver) + ", weft was built for " + version(runtime);
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (status == cudaSuccess || status == cudaErrorNoDevice)
    return std::string("the driver sees no device") +
           (visible ? std::string(" (CUDA_VISIBLE_DEVICES is '") + visible + "')" : "");
  return error_text(status);
}

void forget_devices() noexcept {
  forget_collective_streams(DeviceType::cuda);  // makes streams under a lock of its own, so not under this one
  const std::lock_guard lock(contexts_mutex);
  for (auto& context : contexts) context.store(nullptr, std::memory_order_release);
  known_devices.store(-1, std::memory_order_release);
  not_counted.store(cudaSuccess, std::memory_order_release);
}

int active_device() noexcept { return active; }

DeviceScope::DeviceScope(int index) : previous_(index), enclosing_(active) {
  if (enclosing_ == index) return;
  cudaError_t status = cudaGetDevice(&previous_);
  if (status != cudaSuccess) raise(status, "set device", index);
  if (previous_ != index) status = cudaSetDevice(index);
  if (status != cudaSuccess) {  // it may be lost, and the current one all the same
    static_cast<void>(cudaSetDevice(previous_));
    raise(status, "set device", index);
  }
  active = index;
}

DeviceScope::~DeviceScope() {
  const int index = active;
  active = enclosing_;
  if (previous_ == index || is_exiting()) return;
  // There is nobody to tell. A lost device tells its next user; if another fails twice the next scope finds out for
  // itself which device is the current one.
  const cudaError_t status = cudaSetDevice(previous_);
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  if (is_sticky(status) || cudaSetDevice(previous_) == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  active = -1;
}

Context::Context(int index) : index_(index) {
  const DeviceScope scope(index);
  check(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, index), "device attribute");

  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = index;
  check(cudaMemPoolCreate(pool_.out(), &properties), "create memory pool");
  uint64_t keep_all = UINT64_MAX;
  check(cudaMemPoolSetAttribute(pool_.raw(), cudaMemPoolAttrReleaseThreshold, &keep_all), "memory pool threshold");
  std::vector<cudaMemAccessDesc> peers;
  for (int peer = 0; peer < count_devices(); ++peer) {
    if (peer == index || !has_access(peer, index)) continue;
    cudaMemAccessDesc access = {};
    access.location.type = cudaMemLocationTypeDevice;
    access.location.id = peer;
    access.flags = cudaMemAccessFlagsProtReadWrite;
    peers.push_back(access);
  }
  if (!peers.empty())
    check(cudaMemPoolSetAccess(pool_.raw(), peers.data(), peers.size()), "memory pool access of peers");
  create_stream();
}

Context* Context::if_used(int index) noexcept {
  return index >= 0 && index < max_devices ? contexts[static_cast<size_t>(index)].load(std::memory_order_acquire)
                                           : nullptr;
}

Context& Context::of(int index) {
  if (Context* found = if_used(index)) return *found;
  check_exists(Device(DeviceType::cuda, index));
  const std::lock_guard lock(contexts_mutex);
  if (Context* found = if_used(index)) return *found;
  auto* made = new Context(index);
  register_exit();
  contexts[static_cast<size_t>(index)].store(made, std::memory_order_release);
  return *made;
}

uint64_t Context::create_stream() {
  const std::lock_guard lock(mutex_);
  const uint64_t id = streams_.load(std::memory_order_relaxed);
  WEFT_CHECK(DeviceError, id < max_streams, "create stream: cuda:", index_, " has ", id,
             " streams already; reuse them");
  const DeviceScope scope(index_);
  slots_[id].store(new StreamSlot(index_, pool_.raw()), std::memory_order_release);
  streams_.store(id + 1, std::memory_order_release);
  return id;
}

StreamSlot& Context::stream(uint64_t id) {
  WEFT_CHECK(DeviceError, id < streams_.load(std::memory_order_acquire), "stream ", id, " of cuda:", index_,
             " does not exist; make it with Stream::create");
  return *slots_[id].load(std::memory_order_acquire);
}

void Context::synchronize() {
  const DeviceScope scope(index_);
  std::exception_ptr first;
  const uint64_t streams = streams_.load(std::memory_order_acquire);
  for (uint64_t id = 0; id < streams; ++id) {
    try {
      stream(id).synchronize();
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

cudaStream_t native(Stream stream) { return Context::of(stream.device.index).stream(stream.id).handle(); }
int multiprocessors(int index) { return Context::of(index).multiprocessors(); }

}  // namespace weft::cuda
