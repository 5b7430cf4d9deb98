// Pair: two extents of an image operation, as (height, width); one number stands for both.
#pragma once

#include <cstdint>

namespace weft {

struct Pair {
  int64_t h, w;
  Pair(int64_t both) : h(both), w(both) {}
  Pair(int64_t height, int64_t width) : h(height), w(width) {}
  friend bool operator==(const Pair&, const Pair&) = default;
};

}  // namespace weft
