// convert<To>(x): one element from any type to any other, the same on every device.
#pragma once

#include <limits>

#include "weft/tensor/dtype.h"

namespace weft {

/// Floating to integer truncates, saturates, and gives 0 for NaN; integer to a narrower integer keeps the low bits;
/// anything to bool is x != 0; to f16 and bf16 rounds to nearest even by way of float.
template <class To, class From>
WEFT_INLINE To convert(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (!std::is_same_v<Compute<From>, From>) {
    return convert<To>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (!std::is_same_v<Compute<To>, To>) {
    return To(static_cast<float>(x));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // Both bounds are exact in From: the smallest value of To, and one past its largest.
    constexpr From low = static_cast<From>(std::numeric_limits<To>::min());
    constexpr From past = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * From(2);
    if (!(x >= low)) return x < low ? std::numeric_limits<To>::min() : To(0);
    return x < past ? static_cast<To>(x) : std::numeric_limits<To>::max();
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace weft
