// Pair: what an operation on images takes once per row and once per column (kernel, stride, padding, dilation).
#pragma once

#include <cstdint>
#include <string>

namespace weft {

/// `.stride = 2` sets both, `.stride = {2, 1}` gives height and width.
struct Pair {
  int64_t h = 0;
  int64_t w = 0;

  constexpr Pair() = default;
  constexpr Pair(int64_t both) : h(both), w(both) {}
  constexpr Pair(int64_t height, int64_t width) : h(height), w(width) {}
  friend constexpr bool operator==(const Pair&, const Pair&) = default;
};

/// "(2, 1)"
inline std::string to_string(const Pair& pair) {
  return "(" + std::to_string(pair.h) + ", " + std::to_string(pair.w) + ")";
}

}  // namespace weft
