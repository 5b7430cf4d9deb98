// The peak of memory_stats(): begun anew, and with what libraries take besides tensors.
#pragma once

#include <cstdint>

#include "weft/tensor/device.h"

namespace weft {

/// The device's peak begins anew, at what is in use now.
void reset_peak(Device device);

/// For backends: what a library's call takes besides tensors, or gives back if negative. It is in use, and in the peak.
void count_workspace(Device device, int64_t bytes) noexcept;

}  // namespace weft
