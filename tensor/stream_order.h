// Order where work goes from one thread's streams to another's.
#pragma once

#include <span>
#include <vector>

#include "weft/tensor/device.h"

namespace weft {

class Tensor;

/// The current streams of this thread that are not default ones, in order of devices: with them, work that another
/// thread does for this one is queued where this one's is.
std::vector<Stream> current_streams();
/// The stream of a device in such a list: its default one if the list has none.
Stream stream_in(std::span<const Stream> streams, Device device) noexcept;
/// Makes `stream` the one of its device in such a list.
void set_in(std::vector<Stream>& streams, Stream stream);

/// Makes the streams of such a list current in this thread until the end of the scope, and default streams on all other
/// devices. The current device stays.
class StreamsGuard {
 public:
  explicit StreamsGuard(std::vector<Stream> streams) noexcept;
  ~StreamsGuard();
  StreamsGuard(const StreamsGuard&) = delete;
  StreamsGuard& operator=(const StreamsGuard&) = delete;

 private:
  std::vector<Stream> previous_;
};

/// What is queued on `later` from now on starts after what `earlier` holds. No host wait.
void wait_for(Stream later, Stream earlier);
/// The current streams of this thread wait for those of another, given by such a list.
void wait_for(std::span<const Stream> streams);
/// A tensor that was written on `from` may be used on `to`, both streams of its device: `to` waits, and the memory is
/// not reused before what `to` then does with it.
void hand_over(const Tensor& x, Stream from, Stream to);

}  // namespace weft
