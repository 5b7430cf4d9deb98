// Context: what the process keeps of one CUDA device. Made on first use and never destroyed: at exit CUDA may be gone
// before the last tensor is.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <string>

#include "weft/cuda/handle.h"
#include "weft/cuda/stream.h"

namespace weft::cuda {

/// A stream and its error word.
class StreamSlot {
 public:
  /// Created non-blocking: it never waits for the legacy default stream, which others in the process may use.
  StreamSlot(int device, cudaMemPool_t pool);

  cudaStream_t handle() const { return stream_.raw(); }
  ErrorMark arm(const char* message);
  /// Waits for the stream; throws IndexError if a kernel marked the error word since the last time.
  void synchronize();

 private:
  UniqueStream stream_;
  int device_;
  cudaMemPool_t pool_;
  std::mutex mutex_;          // of the error word
  uint64_t* word_ = nullptr;  // in device memory, made when first armed
  uint64_t* seen_ = nullptr;  // in pinned memory: where it is read to
  std::atomic<bool> armed_{false};
};

class Context {
 public:
  static constexpr int max_devices = 64;
  static constexpr uint64_t max_streams = 1024;

  /// Makes it if need be; throws DeviceError if there is no such device.
  static Context& of(int index);
  /// nullptr before first use.
  static Context* if_used(int index) noexcept;

  StreamSlot& stream(uint64_t id);
  uint64_t create_stream();
  cudaMemPool_t pool() const { return pool_.raw(); }
  int index() const { return index_; }
  int multiprocessors() const { return multiprocessors_; }
  /// Waits for every stream of the device. All are waited for; the first error is thrown afterwards.
  void synchronize();

 private:
  explicit Context(int index);

  int index_;
  int multiprocessors_ = 0;
  UniquePool pool_;
  std::mutex mutex_;  // of create_stream
  std::atomic<uint64_t> streams_{0};
  std::array<std::atomic<StreamSlot*>, max_streams> slots_ = {};
};

/// Number of devices, asked once; 0 without a driver.
int count_devices() noexcept;
/// Why count_devices() is 0.
std::string why_no_devices();

/// Forgets every device without touching CUDA: for who has reset them all, such as tests. Streams, events and memory of
/// before must not be used again.
void forget_devices() noexcept;

/// True once the process is ending and CUDA must not be touched any more.
bool is_exiting() noexcept;

}  // namespace weft::cuda
