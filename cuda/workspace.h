// Workspace: scratch memory for one call of a library, from the pool, in the order of the stream.
#pragma once

#include "weft/tensor/backend.h"
#include "weft/tensor/memory_peak.h"

namespace weft::cuda {

class Workspace {
 public:
  /// Zero bytes are no memory. Throws OutOfMemory.
  Workspace(size_t bytes, Stream stream)
      : bytes_(bytes), stream_(stream), data_(bytes ? backend(DeviceType::cuda).allocate(bytes, stream) : nullptr) {
    count_workspace(stream_.device, static_cast<int64_t>(bytes_));
  }
  ~Workspace() {
    count_workspace(stream_.device, -static_cast<int64_t>(bytes_));
    if (data_) backend(DeviceType::cuda).deallocate(data_, bytes_, stream_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_;
  Stream stream_;
  void* data_;
};

}  // namespace weft::cuda
