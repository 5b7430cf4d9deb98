// Seconds as <chrono> has them, for sources that wait.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "weft/tensor/seconds.h"

namespace weft::detail {

/// At most 30 years, so that a point of time can be added; less than nothing and NaN are no time at all.
inline std::chrono::nanoseconds to_chrono(Seconds seconds) {
  const double bounded = seconds.count() > 0 ? std::min(seconds.count(), 1e9) : 0;
  return std::chrono::nanoseconds(static_cast<int64_t>(bounded * 1e9));
}

}  // namespace weft::detail
