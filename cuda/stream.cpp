// Streams and their error words.
#include "weft/cuda/stream.h"

#include "weft/cuda/check.h"
#include "weft/cuda/context.h"
#include "weft/cuda/memory_lock.h"
#include "weft/cuda/wait.h"
#include "weft/tensor/error.h"

namespace weft::cuda {

namespace {

constexpr uint64_t no_error = UINT64_MAX;
constexpr uint64_t max_messages = 255;  // the tag of 255 would be no_error's
constinit std::mutex messages_mutex;
constinit std::array<const char*, max_messages> messages = {};

uint64_t tag_of(const char* message) {
  const std::lock_guard lock(messages_mutex);
  uint64_t tag = 0;
  while (tag + 1 < max_messages && messages[tag] && messages[tag] != message) ++tag;
  messages[tag] = message;
  return tag << error_position_bits;
}

const char* message_of(uint64_t error) {
  const std::lock_guard lock(messages_mutex);
  return messages[error >> error_position_bits];
}

}  // namespace

StreamSlot::StreamSlot(int device, cudaMemPool_t pool) : device_(device), pool_(pool) {
  check(cudaStreamCreateWithFlags(stream_.out(), cudaStreamNonBlocking), "create stream");
}

ErrorMark StreamSlot::arm(const char* message) {
  const uint64_t tag = tag_of(message);
  const std::lock_guard lock(mutex_);
  if (!seen_) {
    const QuietScope quiet;
    check(cudaHostAlloc(reinterpret_cast<void**>(&seen_), sizeof(uint64_t), cudaHostAllocDefault), "error word");
  }
  if (!word_) {
    const MemoryScope memory(device_);
    void* word = nullptr;
    check(cudaMallocFromPoolAsync(&word, sizeof(uint64_t), pool_, stream_.raw()), "error word");
    if (const cudaError_t status = cudaMemsetAsync(word, 0xff, sizeof(uint64_t), stream_.raw());
        status != cudaSuccess) {
      static_cast<void>(cudaFreeAsync(word, stream_.raw()));
      raise(status, "error word");
    }
    word_ = static_cast<uint64_t*>(word);
  }
  armed_.store(true, std::memory_order_release);
  return {word_, tag};
}

void StreamSlot::synchronize() {
  uint64_t error = no_error;
  if (armed_.load(std::memory_order_acquire)) {
    const std::lock_guard lock(mutex_);
    check(cudaMemcpyAsync(seen_, word_, sizeof(uint64_t), cudaMemcpyDeviceToHost, stream_.raw()), "synchronize");
    check(wait_for(stream_.raw(), device_), "synchronize");
    // It stays armed: another thread may have armed it for a kernel that it launches after this wait.
    error = *seen_;
    if (error != no_error) check(cudaMemsetAsync(word_, 0xff, sizeof(uint64_t), stream_.raw()), "error word");
  } else {
    check(wait_for(stream_.raw(), device_), "synchronize");
  }
  if (error != no_error)
    fail<IndexError>(message_of(error), " (first at flat position ", error & ((uint64_t{1} << error_position_bits) - 1),
                     ")");
}

ErrorMark arm_error(Stream stream, const char* message) {
  const DeviceScope scope(stream.device.index);
  return Context::of(stream.device.index).stream(stream.id).arm(message);
}

}  // namespace weft::cuda
