// The stream of a device for collectives that run beside its other work.
#pragma once

#include "weft/tensor/device.h"

namespace weft {

/// One for all who ask, made at first use. Of a CPU device: its only stream, which runs inline. Thread-safe.
Stream collective_stream(Device device);
/// For a backend that has forgotten its devices, and their streams with them.
void forget_collective_streams(DeviceType type) noexcept;

}  // namespace weft
