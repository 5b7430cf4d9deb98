// Elements that are moved and not computed with, by their size alone.
#pragma once

#include <cstdint>

#include "weft/tensor/dtype.h"

namespace weft::cuda {

/// Calls f(Tag<U>{}) with the unsigned type of 1, 2, 4 or 8 bytes.
template <class F>
void dispatch_word(int64_t bytes, const F& f) {
  switch (bytes) {
    case 1:
      f(Tag<uint8_t>{});
      return;
    case 2:
      f(Tag<uint16_t>{});
      return;
    case 4:
      f(Tag<uint32_t>{});
      return;
    default:
      f(Tag<uint64_t>{});
  }
}

}  // namespace weft::cuda
