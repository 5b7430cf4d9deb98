// Scratch: device memory for the length of a launcher, given back in the order of its stream.
#pragma once

#include <cstddef>

#include "weft/tensor/backend.h"

namespace weft::cuda {

class Scratch {
 public:
  /// Throws OutOfMemory.
  Scratch(size_t bytes, Stream stream)
      : data_(backend(DeviceType::cuda).allocate(bytes, stream)), bytes_(bytes), stream_(stream) {}
  ~Scratch() { backend(DeviceType::cuda).deallocate(data_, bytes_, stream_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  void* data() const { return data_; }

 private:
  void* data_;
  size_t bytes_;
  Stream stream_;
};

}  // namespace weft::cuda
