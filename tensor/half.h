// Half and BFloat16: 16-bit storage types. Arithmetic is done in float; conversion rounds to nearest even.
// The same code runs on the host and, under nvcc, on the device.
#pragma once

#include <bit>
#include <cstdint>

#if defined(__CUDACC__)
#define WEFT_HD __host__ __device__
#else
#define WEFT_HD
#endif
/// Small functions of kernels: always inlined, so that a copy compiled for a newer instruction set is never shared.
#define WEFT_INLINE WEFT_HD inline __attribute__((always_inline))

namespace weft {

namespace detail {

WEFT_INLINE uint32_t float_bits(float x) { return __builtin_bit_cast(uint32_t, x); }
WEFT_INLINE float bits_float(uint32_t x) { return __builtin_bit_cast(float, x); }

#if defined(__CUDA_ARCH__)

WEFT_INLINE uint16_t half_from_float(float x) {
  uint16_t half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(x));
  return half;
}
WEFT_INLINE float half_to_float(uint16_t half) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(half));
  return x;
}

#else

// IEEE binary16 from binary32. Subnormals come out of one float addition whose unit in the last place is 2^-24.
WEFT_INLINE uint16_t half_from_float(float x) {
  uint32_t bits = float_bits(x);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  bits &= 0x7fffffffu;
  if (bits > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (bits >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (bits < 0x38800000u) {
    const float shifted = bits_float(bits) + 0.5f;
    return static_cast<uint16_t>(sign | (float_bits(shifted) - 0x3f000000u));
  }
  const uint32_t odd = (bits >> 13) & 1u;
  return static_cast<uint16_t>(sign | ((bits - 0x38000000u + 0xfffu + odd) >> 13));
}

WEFT_INLINE float half_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t rest = h & 0x7fffu;
  if (rest >= 0x7c00u) return bits_float(sign | 0x7f800000u | ((rest & 0x3ffu) << 13));
  // A subnormal m * 2^-24 is (2^-14 + m * 2^-24) - 2^-14: exact, and right even where subnormals are flushed.
  if (rest < 0x400u) return bits_float(sign | float_bits(bits_float((rest << 13) + 0x38800000u) - 0x1p-14f));
  return bits_float(sign | ((rest << 13) + 0x38000000u));
}

#endif

WEFT_INLINE uint16_t bfloat_from_float(float x) {
  const uint32_t bits = float_bits(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

WEFT_INLINE float bfloat_to_float(uint16_t b) { return bits_float(static_cast<uint32_t>(b) << 16); }

}  // namespace detail

struct Half {
  uint16_t bits = 0;
  Half() = default;
  WEFT_INLINE explicit Half(float x) : bits(detail::half_from_float(x)) {}
  WEFT_INLINE operator float() const { return detail::half_to_float(bits); }
};

struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  WEFT_INLINE explicit BFloat16(float x) : bits(detail::bfloat_from_float(x)) {}
  WEFT_INLINE operator float() const { return detail::bfloat_to_float(bits); }
};

}  // namespace weft
