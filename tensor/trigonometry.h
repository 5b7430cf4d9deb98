// sin and cos of kernels, as tensor/math.h is written: on the host float versions that vectorise, right for every size
// of x; double, and everything that nvcc compiles, use the standard functions.
#pragma once

#include "weft/tensor/math.h"

namespace weft {
inline namespace WEFT_VARIANT {
namespace math {

#if defined(__CUDACC__)

WEFT_INLINE float sin(float x) { return ::sinf(x); }
WEFT_INLINE float cos(float x) { return ::cosf(x); }
WEFT_INLINE double sin(double x) { return ::sin(x); }
WEFT_INLINE double cos(double x) { return ::cos(x); }

#else

WEFT_INLINE double sin(double x) { return __builtin_sin(x); }
WEFT_INLINE double cos(double x) { return __builtin_cos(x); }

/// Digit k of 2 / pi = sum of digit(k) 2^(-24 (k + 1)), as far as the largest float needs it.
WEFT_INLINE constexpr double digit(int k) {
  constexpr int32_t digits[] = {0xa2f983, 0x6e4e44, 0x1529fc, 0x2757d1, 0xf534dd,
                                0xc0db62, 0x95993c, 0x439041, 0xfe5163};
  return digits[k];
}

/// |x| = angle + pi / 2 (quarter + 4 n), |angle| <= pi / 4, for finite x.
struct Turn {
  float angle;
  int32_t quarter;
};

/// One of digits k, …, k + 4: that whose mask is set.
template <int k>
WEFT_INLINE double chosen_digit(const uint64_t (&mask)[5]) {
  uint64_t bits = 0;
  for (int j = 0; j < 5; ++j) bits |= mask[j] & __builtin_bit_cast(uint64_t, digit(k + j));
  return __builtin_bit_cast(double, bits);
}

// Payne and Hanek's reduction. |x| = m 2^e with m of 24 bits, so m times a digit of 2 / pi is exact in double. Digits
// that give multiples of 4 quarters are left out; of the five that follow, the first three add up exactly or to the
// last bit of what cancellation leaves, and the sixth would be below 2^-70. Masks in place of tables and branches let
// loops vectorise everywhere.
WEFT_INLINE Turn turn_of(float x) {
  const int32_t bits = static_cast<int32_t>(detail::float_bits(x) & 0x7fffffffu);
  const int32_t biased = bits >> 23, is_normal = static_cast<int32_t>(static_cast<uint32_t>(-biased) >> 31);
  const int32_t m = (bits & 0x7fffff) | is_normal << 23;
  const int32_t e = biased + (1 - is_normal) - 150;
  const int32_t above = (e - 2) & ~((e - 2) >> 31);  // max(e - 2, 0)
  const int64_t skipped = above * 171 >> 12;         // above / 24, at most 4
  uint64_t mask[5];
  for (int j = 0; j < 5; ++j) mask[j] = -static_cast<uint64_t>(skipped == j);
  const uint64_t exponent = static_cast<uint64_t>(int64_t{1023} + e - 24 * skipped - 24);
  const double m0 = static_cast<double>(m) * __builtin_bit_cast(double, exponent << 52);
  const double m1 = m0 * 0x1p-24, m2 = m1 * 0x1p-24, m3 = m2 * 0x1p-24, m4 = m3 * 0x1p-24;
  double a = m0 * chosen_digit<0>(mask), b = m1 * chosen_digit<1>(mask);
  const double c = m2 * chosen_digit<2>(mask);
  a -= 4.0 * __builtin_floor(0.25 * a);
  b -= 4.0 * __builtin_floor(0.25 * b);
  const double n = __builtin_rint(a + b + c);
  const double rest = (a - n + b + c) + (m3 * chosen_digit<3>(mask) + m4 * chosen_digit<4>(mask));
  return {static_cast<float>(rest * 0x1.921fb54442d18p+0), static_cast<int32_t>(n)};
}

// Cephes' polynomials on [-pi / 4, pi / 4].
WEFT_INLINE float short_sin(float x) {
  const float z = x * x;
  return x + x * z * (-1.6666654611e-1f + z * (8.3321608736e-3f + z * -1.9515295891e-4f));
}
WEFT_INLINE float short_cos(float x) {
  const float z = x * x;
  const float p = 4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f);
  return 1.0f - 0.5f * z + z * z * p;
}
WEFT_INLINE float with_sign(float magnitude, uint32_t flip) {
  return detail::bits_float(detail::float_bits(magnitude) ^ (flip & 0x80000000u));
}

WEFT_INLINE float sin(float x) {
  const auto [angle, quarter] = turn_of(x);
  const float y = quarter & 1 ? short_cos(angle) : short_sin(angle);
  const float turned = with_sign(y, static_cast<uint32_t>(quarter) << 30 ^ detail::float_bits(x));
  return __builtin_fabsf(x) < infinity ? turned : nan;
}
WEFT_INLINE float cos(float x) {
  const auto [angle, quarter] = turn_of(x);
  const float y = quarter & 1 ? short_sin(angle) : short_cos(angle);
  const float turned = with_sign(y, static_cast<uint32_t>(quarter + 1) << 30);
  return __builtin_fabsf(x) < infinity ? turned : nan;
}

#endif

}  // namespace math
}  // namespace WEFT_VARIANT
}  // namespace weft
