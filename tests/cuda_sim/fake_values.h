// Elements of the fake libraries' operands, read and written as double.
#pragma once

#include <cstddef>
#include <cstdint>

#include "weft/tensor/half.h"

namespace weft::sim {

enum class Element { f64, f32, f16, bf16 };

inline size_t size_of(Element type) { return type == Element::f64 ? 8 : type == Element::f32 ? 4 : 2; }

inline double load(const void* data, Element type, int64_t i) {
  switch (type) {
    case Element::f64:
      return static_cast<const double*>(data)[i];
    case Element::f32:
      return static_cast<const float*>(data)[i];
    case Element::f16:
      return static_cast<const Half*>(data)[i];
    default:
      return static_cast<const BFloat16*>(data)[i];
  }
}

inline void store(void* data, Element type, int64_t i, double value) {
  switch (type) {
    case Element::f64:
      static_cast<double*>(data)[i] = value;
      break;
    case Element::f32:
      static_cast<float*>(data)[i] = static_cast<float>(value);
      break;
    case Element::f16:
      static_cast<Half*>(data)[i] = Half(static_cast<float>(value));
      break;
    default:
      static_cast<BFloat16*>(data)[i] = BFloat16(static_cast<float>(value));
  }
}

/// Ten bits of mantissa, to nearest even; infinities and NaN stay.
inline double to_tf32(double value) {
  const uint32_t bits = weft::detail::float_bits(static_cast<float>(value));
  if ((bits & 0x7f800000u) == 0x7f800000u) return value;
  return weft::detail::bits_float((bits + 0xfffu + ((bits >> 13) & 1u)) & 0xffffe000u);
}

}  // namespace weft::sim
