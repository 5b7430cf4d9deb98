// Walking strided operands row by row, and 16-bit elements by way of float buffers. For kernel files: internal linkage.
#pragma once

#include "weft/tensor/collapsed.h"
#include "weft/tensor/cpu/loops.h"

namespace weft {
namespace {

/// Elements that one staging buffer holds.
inline constexpr int64_t stage = 256;

/// Calls body(offsets, n) for every stretch of the last dimension within flat positions [begin, end); offsets[k] is
/// where operand k's stretch starts, in elements.
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

/// The type in which kernels compute with T where one loop for several dtypes is enough: float for the 16-bit types,
/// i64 for integers and bool (narrowed by dropping bits, to bool by != 0, as arithmetic in the type itself would end
/// up).
template <class T>
using Wide = std::conditional_t<std::is_integral_v<T>, int64_t, Compute<T>>;

/// y = value; of the 16-bit structs only the number is written, as g++ 12 vectorises no copies of structs.
template <class T>
WEFT_INLINE void assign(T& y, T value) {
  if constexpr (std::is_arithmetic_v<T>) {
    y = value;
  } else {
    y.bits = value.bits;
  }
}

template <class To, class From>
WEFT_INLINE void convert_run(const From* x, To* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) assign(y[i], static_cast<To>(x[i]));
}

/// How elements of one dtype are read and written as W, so that the code around a loop exists once per W.
template <class W>
struct Access {
  int64_t size;  ///< bytes of an element
  bool native;   ///< the elements are W
  /// n <= stage elements, `stride` apart, as an array: x itself where that is what it is, else the buffer.
  const W* (*load)(const void* x, int64_t stride, int64_t n, W* buffer);
  void (*store)(void* y, int64_t stride, int64_t n, const W* values);

  WEFT_INLINE const void* at(const void* x, int64_t offset) const {
    return static_cast<const char*>(x) + offset * size;
  }
  WEFT_INLINE void* at(void* x, int64_t offset) const { return static_cast<char*>(x) + offset * size; }
};

template <class T, class W>
const W* load_as(const void* from, int64_t stride, int64_t n, W* buffer) {
  const T* const x = static_cast<const T*>(from);
  if constexpr (std::is_same_v<T, W>) {
    if (stride == 1) return x;
  } else if (stride == 1) {
    convert_run(x, buffer, n);
    return buffer;
  }
  for (int64_t i = 0; i < n; ++i) buffer[i] = static_cast<W>(x[i * stride]);
  return buffer;
}

template <class T, class W>
void store_as(void* to, int64_t stride, int64_t n, const W* values) {
  T* const y = static_cast<T*>(to);
  if constexpr (!std::is_same_v<T, W>) {
    if (stride == 1) return convert_run(values, y, n);
  }
  for (int64_t i = 0; i < n; ++i) y[i * stride] = static_cast<T>(values[i]);
}

template <class T, class W>
constexpr Access<W> access_as = {sizeof(T), std::is_same_v<T, W>, load_as<T, W>, store_as<T, W>};

/// Calls body(access) with an Access<float>, Access<double> or Access<int64_t>.
template <class Body>
WEFT_INLINE void dispatch_access(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::f64:
      return body(access_as<double, double>);
    case DType::f32:
    case DType::f16:
    case DType::bf16:
      return body(dtype == DType::f32   ? access_as<float, float>
                  : dtype == DType::f16 ? access_as<Half, float>
                                        : access_as<BFloat16, float>);
    default:
      return body(dtype == DType::i64   ? access_as<int64_t, int64_t>
                  : dtype == DType::i32 ? access_as<int32_t, int64_t>
                  : dtype == DType::u8  ? access_as<uint8_t, int64_t>
                                        : access_as<bool, int64_t>);
  }
}

}  // namespace
}  // namespace weft
