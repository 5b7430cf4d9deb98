// Elementwise mathematics of kernels. On the host the float versions are branch-free polynomials that vectorise (within
// a few units in the last place; NaN, Inf, zeros, overflow and underflow as in the standard library); double, and
// everything that nvcc compiles, use the standard functions. All always inlined; polynomials are Chebyshev fits of the
// stated ranges.
#pragma once

#include <cmath>
#include <limits>

#include "weft/tensor/half.h"

// The namespace of code that is compiled several times, so that no two copies meet: an instruction set (v2, v3, v4),
// what nvcc makes, or what a special build asks for by defining WEFT_VARIANT or WEFT_ISA itself.
#ifndef WEFT_VARIANT
#if defined(WEFT_ISA)
#define WEFT_VARIANT WEFT_ISA
#elif defined(__CUDACC__)
#define WEFT_VARIANT device
#else
#define WEFT_VARIANT base
#endif
#endif

namespace weft {
inline namespace WEFT_VARIANT {
namespace math {

#if defined(__CUDACC__)

WEFT_INLINE float exp(float x) { return ::expf(x); }
WEFT_INLINE float log(float x) { return ::logf(x); }
WEFT_INLINE float tanh(float x) { return ::tanhf(x); }
WEFT_INLINE float erf(float x) { return ::erff(x); }
WEFT_INLINE float pow(float x, float y) { return ::powf(x, y); }
WEFT_INLINE float sqrt(float x) { return ::sqrtf(x); }
WEFT_INLINE float log1p(float x) { return ::log1pf(x); }
WEFT_INLINE float expm1(float x) { return ::expm1f(x); }
WEFT_INLINE double exp(double x) { return ::exp(x); }
WEFT_INLINE double log(double x) { return ::log(x); }
WEFT_INLINE double tanh(double x) { return ::tanh(x); }
WEFT_INLINE double erf(double x) { return ::erf(x); }
WEFT_INLINE double pow(double x, double y) { return ::pow(x, y); }
WEFT_INLINE double sqrt(double x) { return ::sqrt(x); }
WEFT_INLINE double log1p(double x) { return ::log1p(x); }
WEFT_INLINE double expm1(double x) { return ::expm1(x); }

#else

inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float nan = std::numeric_limits<float>::quiet_NaN();

// The built-ins call the C library directly: the inline functions of <cmath> would leave a weak copy behind.
WEFT_INLINE double exp(double x) { return __builtin_exp(x); }
WEFT_INLINE double log(double x) { return __builtin_log(x); }
WEFT_INLINE double tanh(double x) { return __builtin_tanh(x); }
WEFT_INLINE double erf(double x) { return __builtin_erf(x); }
WEFT_INLINE double pow(double x, double y) { return __builtin_pow(x, y); }
WEFT_INLINE double sqrt(double x) { return __builtin_sqrt(x); }
WEFT_INLINE double log1p(double x) { return __builtin_log1p(x); }
WEFT_INLINE double expm1(double x) { return __builtin_expm1(x); }
WEFT_INLINE float sqrt(float x) { return __builtin_sqrtf(x); }

/// 2^n for n in [-126, 127]; any other n gives some number.
WEFT_INLINE float power_of_two(int32_t n) { return detail::bits_float((static_cast<uint32_t>(n) + 127u) << 23); }

// x = n ln 2 + r, |r| <= ln 2 / 2;  exp(x) = 2^n exp(r). ln 2 is split so that n times its upper part is exact.
struct Reduced {
  float e;    ///< exp(r) - 1
  int32_t n;  ///< some number for x far outside those whose exponential is finite and not 0
};
WEFT_INLINE Reduced reduced(float x) {
  const float shifted = x * 0x1.715476p+0f + 0x1.8p23f;
  const float n = shifted - 0x1.8p23f;
  const float r = (x - n * 0x1.63p-1f) - n * -0x1.bd0106p-13f;
  const float p = (((0x1.6d1606p-10f * r + 0x1.12106cp-7f) * r + 0x1.555516p-5f) * r + 0x1.5554d8p-3f) * r + 0.5f;
  return {r + r * r * p, static_cast<int32_t>(detail::float_bits(shifted) - 0x4b400000u)};
}

// 2^n is applied in two factors so that overflow and subnormal results round once.
struct Powers {
  float e;           ///< exp(r) - 1
  float low, high;   ///< two factors of 2^n
  float below_high;  ///< 1 / high
};
WEFT_INLINE Powers powers_of(float x) {
  const auto [e, n] = reduced(x);
  const int32_t half = n >> 1;
  return {e, power_of_two(half), power_of_two(n - half), power_of_two(half - n)};
}
WEFT_INLINE float exp(float x) {
  x = x > 89.0f ? 89.0f : x;  // both bounds keep NaN, which then spreads through r
  x = x < -105.0f ? -105.0f : x;
  const Powers p = powers_of(x);
  return (1.0f + p.e) * p.low * p.high;
}
// 2^n (e + 1) - 1 = high (low e + (low - 1 / high)), where the difference is exact as long as it matters.
WEFT_INLINE float expm1(float x) {
  const float bounded = x > 89.0f ? 89.0f : x < -30.0f ? -30.0f : x;
  const Powers p = powers_of(bounded);
  const float y = p.high * (p.low * p.e + (p.low - p.below_high));
  return x == 0.0f ? x : y;
}

/// A positive finite x as 2^k (1 + f) with 1 + f in [sqrt 1/2, sqrt 2]; other x give some numbers.
struct Split {
  float k, f;
};
WEFT_INLINE Split split(float x) {
  const bool tiny = x < 0x1p-126f;
  const uint32_t bits = detail::float_bits(tiny ? x * 0x1p25f : x) - 0x3f3504f3u;
  return {static_cast<float>((static_cast<int32_t>(bits) >> 23) - (tiny ? 25 : 0)),
          detail::bits_float((bits & 0x7fffffu) + 0x3f3504f3u) - 1.0f};
}

// log(x) = k ln 2 + log(1 + f),  log(1 + f) = 2 s + s^3 L(s^2),  s = f / (2 + f).
WEFT_INLINE float log(float x) {
  const auto [k, f] = split(x);
  const float s = f / (2.0f + f);
  const float z = s * s;
  const float l = z * (((0x1.dddaep-3f * z + 0x1.245c0ap-2f) * z + 0x1.9999ecp-2f) * z + 0x1.555556p-1f);
  const float half = 0.5f * f * f;
  const float y = k * 0x1.62e3p-1f + (f - (half - (s * (half + l) + k * 0x1.2fefa2p-17f)));
  const float finite = x > 0.0f ? y : x == 0.0f ? -infinity : nan;
  return x < infinity ? finite : x;
}

// log(1 + x), from log(u) of the rounded sum u = 1 + x and what the sum lost.
WEFT_INLINE float log1p(float x) {
  const float u = 1.0f + x;
  const float lost = x - (u - 1.0f);
  const float y = log(u) + (lost != 0.0f ? lost / u : 0.0f);
  return x == 0.0f ? x : u < infinity ? y : u;
}

WEFT_INLINE float tanh(float x) {
  const float a = __builtin_fabsf(x);
  const float z = x * x;
  const float p =
      ((((0x1.2c83cp-9f * z - 0x1.116a16p-7f) * z + 0x1.64a976p-6f) * z - 0x1.ba08c4p-5f) * z + 0x1.1110eap-3f) * z -
      0x1.555556p-2f;
  const float large = 1.0f - 2.0f / (exp(2.0f * a) + 1.0f);
  return a < 0.625f ? x + x * z * p : __builtin_copysignf(large, x);
}

// Small: x + x P(x^2).  Large: 1 - exp(-Q(x)), Q = -log erfc.
WEFT_INLINE float erf(float x) {
  const float z = x * x;
  const float p =
      ((((-0x1.38dbe4p-11f * z + 0x1.46f3f4p-8f) * z - 0x1.b68054p-6f) * z + 0x1.ce19c4p-4f) * z - 0x1.8126e2p-2f) * z +
      0x1.06eba6p-3f;
  float a = __builtin_fabsf(x);
  a = a > 4.0f ? 4.0f : a;
  const float q =
      (((((((-0x1.b90e7ap-20f * a + 0x1.83402p-15f) * a - 0x1.394e9ap-11f) * a + 0x1.381f9ap-8f) * a - 0x1.b0fd8cp-6f) *
             a +
         0x1.c2eac2p-4f) *
            a +
        0x1.437e6cp-1f) *
           a +
       0x1.2156d2p+0f) *
          a -
      0x1.4e0356p-12f;
  return z < 0.8464f ? x + x * p : __builtin_copysignf(1.0f - exp(-q), x);
}

// |x|^y = exp(y log |x|) in double, where both series end below 2^-38 of the result; then sign and special cases.
WEFT_INLINE float pow(float x, float y) {
  const float a = __builtin_fabsf(x);
  const auto [k, f] = split(a);
  const double s = double(f) / (2.0 + double(f));
  const double z = s * s;
  const double l =
      s * (2.0 + z * (2.0 / 3 + z * (2.0 / 5 + z * (2.0 / 7 + z * (2.0 / 9 + z * (2.0 / 11 + z * 2.0 / 13))))));
  const double finite = double(k) * 0x1.62e42fefa39efp-1 + l;
  double t = double(y) * (a == 0.0f ? -double(infinity) : a < infinity ? finite : double(a));
  t = t > 130.0 ? 130.0 : t;
  t = t < -160.0 ? -160.0 : t;
  const double shifted = t * 0x1.71547652b82fep+0 + 0x1.8p52;
  const double r = t - (shifted - 0x1.8p52) * 0x1.62e42fefa39efp-1;
  const double e =
      1 + r * (1 + r * (1.0 / 2 +
                        r * (1.0 / 6 +
                             r * (1.0 / 24 +
                                  r * (1.0 / 120 +
                                       r * (1.0 / 720 + r * (1.0 / 5040 + r * (1.0 / 40320 + r * 1.0 / 362880))))))));
  const uint64_t scale = (__builtin_bit_cast(uint64_t, shifted) - 0x4338000000000000u + 1023u) << 52;
  const float size = static_cast<float>(e * __builtin_bit_cast(double, scale));
  // Choices between numbers, not between conditions: y may be the same for a whole loop, and then this still
  // vectorises.
  const float whole = __builtin_floorf(y) == y ? 1.0f : nan;
  const float odd = __builtin_floorf(y * 0.5f) != y * 0.5f ? -whole : whole;
  const float one = y == y ? 1.0f : y;
  const float magnitude = a == 1.0f ? one : size;
  const float even = a == 0.0f ? magnitude : a == infinity ? magnitude : magnitude * whole;
  const float reflected = odd < 0.0f ? -magnitude : even;
  const float power = static_cast<int32_t>(detail::float_bits(x)) < 0 ? reflected : magnitude;
  return x == 1.0f ? 1.0f : y == 0.0f ? 1.0f : power;
}

#endif

/// -1, 0, 1; NaN stays.
template <class T>
WEFT_INLINE T sign(T x) {
  return x > T(0) ? T(1) : x < T(0) ? T(-1) : x;
}

/// 1 / (1 + exp(-x)), to the last subnormal.
template <class T>
WEFT_INLINE T sigmoid(T x) {
  const T e = exp(x < T(0) ? x : -x);
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

/// log(1 + exp(x)).
template <class T>
WEFT_INLINE T softplus(T x) {
  return (x > T(0) ? x : T(0)) + log1p(exp(x > T(0) ? -x : x));
}

/// x moved to the nearer bound; NaN stays.
template <class T>
WEFT_INLINE T clamp(T x, T low, T high) {
  return x < low ? low : x > high ? high : x;
}
template <class T>
WEFT_INLINE T within(T x, T low, T high) {
  return x >= low && x <= high ? T(1) : T(0);
}

}  // namespace math
}  // namespace WEFT_VARIANT
}  // namespace weft
