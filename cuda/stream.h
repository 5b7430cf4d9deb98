// What launchers and library adapters need of a stream: CUDA's handle, the right current device, and a few facts about
// it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "weft/tensor/device.h"

namespace weft::cuda {

/// Makes a device CUDA's current one in this thread until the end of the scope; every call that names a stream, an
/// event or memory of a device stands in one.
class DeviceScope {
 public:
  explicit DeviceScope(int index);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int previous_ = 0;   // CUDA's current device before
  int enclosing_ = 0;  // active_device() before
};

/// The device of the innermost scope of this thread, -1 outside.
int active_device() noexcept;

/// CUDA's handle of a stream; never the legacy default stream. Throws DeviceError for an id that create() did not give.
cudaStream_t native(Stream stream);

/// Multiprocessors of a device.
int multiprocessors(int index);

/// Where kernels report a bad operand, such as a label out of range: `*word` sinks to the smallest `tag | position`.
struct ErrorMark {
  uint64_t* word = nullptr;
  uint64_t tag = 0;
};

/// Arms the stream's error word: the next synchronisation of the stream, or of its device, throws IndexError
/// `<message> (first at flat position 17)` if a kernel marked it. `message` is a literal: `cross_entropy: a label …`.
ErrorMark arm_error(Stream stream, const char* message);

/// Largest position that fits beside a tag.
inline constexpr uint64_t error_position_bits = 56;

}  // namespace weft::cuda
