#include "weft/tensor/collective_stream.h"

#include <map>
#include <mutex>

namespace weft {

namespace {

// Never destroyed: passes may run while static objects go.
struct Streams {
  std::mutex mutex;
  std::map<Device, Stream> of;
};
Streams& streams() {
  static auto& instance = *new Streams;
  return instance;
}

}  // namespace

Stream collective_stream(Device device) {
  if (device.is_cpu()) return {device};
  Streams& all = streams();
  const std::lock_guard lock(all.mutex);
  const auto known = all.of.find(device);
  return known != all.of.end() ? known->second : all.of.emplace(device, Stream::create(device)).first->second;
}

void forget_collective_streams(DeviceType type) noexcept {
  Streams& all = streams();
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.of, [type](const auto& entry) { return entry.first.type == type; });
}

}  // namespace weft
