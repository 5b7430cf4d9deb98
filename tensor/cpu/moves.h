// Moving elements of 1, 2, 4 or 8 bytes without looking at them. For kernel files: internal linkage.
#pragma once

#include "weft/tensor/cpu/strided.h"

namespace weft {
namespace {

/// Calls body(Tag<unsigned integer of `size` bytes>).
template <class Body>
WEFT_INLINE void dispatch_size(int64_t size, const Body& body) {
  switch (size) {
    case 1:
      return body(Tag<uint8_t>{});
    case 2:
      return body(Tag<uint16_t>{});
    case 4:
      return body(Tag<uint32_t>{});
    default:
      return body(Tag<uint64_t>{});
  }
}

/// y[i * y_stride] = x[i * x_stride].
template <class T>
WEFT_INLINE void move_run(const T* x, int64_t x_stride, T* y, int64_t y_stride, int64_t n) {
  if (x_stride == 1 && y_stride == 1) {
    __builtin_memcpy(y, x, static_cast<size_t>(n) * sizeof(T));
  } else if (x_stride == 0 && y_stride == 1) {
    const T value = *x;
    for (int64_t i = 0; i < n; ++i) y[i] = value;
  } else if (x_stride == -1 && y_stride == 1) {
    for (int64_t i = 0; i < n; ++i) y[i] = x[-i];
  } else if (y_stride == 1) {
    for (int64_t i = 0; i < n; ++i) y[i] = x[i * x_stride];
  } else {
    for (int64_t i = 0; i < n; ++i) y[i * y_stride] = x[i * x_stride];
  }
}

}  // namespace
}  // namespace weft
