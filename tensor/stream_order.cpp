#include "weft/tensor/stream_order.h"

#include <algorithm>

#include "weft/tensor/tensor.h"

namespace weft {

Stream stream_in(std::span<const Stream> streams, Device device) noexcept {
  for (const Stream& stream : streams)
    if (stream.device == device) return stream;
  return {device, 0};
}

// Sorted by device, without default streams: equal lists say the same.
void set_in(std::vector<Stream>& streams, Stream stream) {
  const auto at = std::lower_bound(streams.begin(), streams.end(), stream.device,
                                   [](const Stream& s, Device device) { return s.device < device; });
  const bool known = at != streams.end() && at->device == stream.device;
  if (stream.id == 0 && known)
    streams.erase(at);
  else if (known)
    *at = stream;
  else if (stream.id != 0)
    streams.insert(at, stream);
}

void wait_for(Stream later, Stream earlier) {
  if (later == earlier || earlier.device.is_cpu()) return;
  Event now;
  now.record(earlier);
  later.wait(now);
}

void wait_for(std::span<const Stream> streams) {
  for (const Stream& stream : streams) wait_for(current_stream(stream.device), stream);
  for (const Stream& here : current_streams())
    if (stream_in(streams, here.device).id == 0) wait_for(here, Stream{here.device});
}

void hand_over(const Tensor& x, Stream from, Stream to) {
  if (from == to || to.device.is_cpu()) return;
  wait_for(to, from);
  x.storage().record_stream(to);
}

}  // namespace weft
