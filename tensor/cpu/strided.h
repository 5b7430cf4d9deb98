// Walking strided operands row by row, and 16-bit elements by way of float buffers. For kernel files: internal linkage.
#pragma once

#include "weft/tensor/collapsed.h"
#include "weft/tensor/cpu/loops.h"

namespace weft {
namespace {

/// Elements that one staging buffer holds.
inline constexpr int64_t stage = 256;

/// Calls body(offsets, n) for every stretch of the last dimension within flat positions [begin, end); offsets[k] is where
/// operand k's stretch starts, in elements.
template <int operands, class Body>
WEFT_INLINE void for_rows(const Collapsed& geometry, int64_t begin, int64_t end, const Body& body) {
  const int last = geometry.rank - 1;
  const int64_t inner = geometry.extent[last];
  int64_t at[max_rank];
  int64_t offset[operands];
  int64_t column = begin % inner;
  for (int k = 0; k < operands; ++k) offset[k] = 0;
  int64_t rest = begin / inner;
  for (int d = last - 1; d >= 0; --d) {
    at[d] = rest % geometry.extent[d];
    rest /= geometry.extent[d];
    for (int k = 0; k < operands; ++k) offset[k] += at[d] * geometry.stride[k][d];
  }
  while (begin < end) {
    const int64_t n = smaller(inner - column, end - begin);
    int64_t start[operands];
    for (int k = 0; k < operands; ++k) start[k] = offset[k] + column * geometry.stride[k][last];
    body(start, n);
    begin += n;
    column = 0;
    for (int d = last - 1; d >= 0; --d) {
      for (int k = 0; k < operands; ++k) offset[k] += geometry.stride[k][d];
      if (++at[d] < geometry.extent[d]) break;
      for (int k = 0; k < operands; ++k) offset[k] -= geometry.stride[k][d] * geometry.extent[d];
      at[d] = 0;
    }
  }
}

template <class To, class From>
WEFT_INLINE void convert_run(const From* x, To* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<To>(x[i]);
}

/// n <= stage elements from x on, `stride` apart, as an array of Compute<T>: x itself where that is what it is.
template <class T>
WEFT_INLINE const Compute<T>* staged_in(const T* x, int64_t stride, int64_t n, Compute<T>* buffer) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    if (stride == 1) return x;
  } else if (stride == 1) {
    convert_run(x, buffer, n);
    return buffer;
  }
  for (int64_t i = 0; i < n; ++i) buffer[i] = static_cast<Compute<T>>(x[i * stride]);
  return buffer;
}

/// Where a loop may write n <= stage results for `y`: y itself or the buffer; then staged_out() puts them in place.
template <class T>
WEFT_INLINE Compute<T>* staged_for(T* y, int64_t stride, Compute<T>* buffer) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    if (stride == 1) return y;
  }
  return buffer;
}
template <class T>
WEFT_INLINE void staged_out(T* y, int64_t stride, int64_t n, const Compute<T>* results) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    if (stride == 1) return;
  } else if (stride == 1) {
    convert_run(results, y, n);
    return;
  }
  for (int64_t i = 0; i < n; ++i) y[i * stride] = static_cast<T>(results[i]);
}

}  // namespace
}  // namespace weft
