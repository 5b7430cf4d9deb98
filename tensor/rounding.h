// Rounding, remainders and powers of kernels, for floating and integer types; and which values are numbers.
#pragma once

#include <type_traits>

#include "weft/tensor/math.h"

namespace weft {
inline namespace WEFT_VARIANT {
namespace math {

#if defined(__CUDACC__)

WEFT_INLINE float floor(float x) { return ::floorf(x); }
WEFT_INLINE float ceil(float x) { return ::ceilf(x); }
WEFT_INLINE float round_to_even(float x) { return ::rintf(x); }
WEFT_INLINE float fmod(float x, float y) { return ::fmodf(x, y); }
WEFT_INLINE double floor(double x) { return ::floor(x); }
WEFT_INLINE double ceil(double x) { return ::ceil(x); }
WEFT_INLINE double round_to_even(double x) { return ::rint(x); }
WEFT_INLINE double fmod(double x, double y) { return ::fmod(x, y); }

#else

WEFT_INLINE float floor(float x) { return __builtin_floorf(x); }
WEFT_INLINE float ceil(float x) { return __builtin_ceilf(x); }
WEFT_INLINE float round_to_even(float x) { return __builtin_rintf(x); }
WEFT_INLINE float fmod(float x, float y) { return __builtin_fmodf(x, y); }
WEFT_INLINE double floor(double x) { return __builtin_floor(x); }
WEFT_INLINE double ceil(double x) { return __builtin_ceil(x); }
WEFT_INLINE double round_to_even(double x) { return __builtin_rint(x); }
WEFT_INLINE double fmod(double x, double y) { return __builtin_fmod(x, y); }

#endif

template <class T>
requires std::is_integral_v<T> WEFT_INLINE T floor(T x) { return x; }
template <class T>
requires std::is_integral_v<T> WEFT_INLINE T ceil(T x) { return x; }
template <class T>
requires std::is_integral_v<T> WEFT_INLINE T round_to_even(T x) { return x; }

/// a - b floor(a / b): of b's sign, as Python has it. Integers: 0 where b is 0.
template <class T>
WEFT_INLINE T remainder(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using Signed = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
    const Signed y = static_cast<Signed>(b);
    const Signed divisor = y == 0 || y == -1 ? Signed{1} : y;  // neither may reach the division
    const Signed r = static_cast<Signed>(a) % divisor;
    return static_cast<T>(r != 0 && (r ^ divisor) < 0 ? r + divisor : r);
  } else {
    const T r = fmod(a, b);
    return r != T(0) && (r < T(0)) != (b < T(0)) ? r + b : r;
  }
}

/// base^exponent modulo 2^bits; 0 for negative exponents, except of 1 and -1.
template <class T>
requires std::is_integral_v<T> WEFT_INLINE T pow(T base, T exponent) {
  if (exponent < T(0)) return base == T(1) || (base == T(-1) && exponent % 2 == 0) ? T(1) : base == T(-1) ? base : T(0);
  uint64_t power = 1, square = static_cast<uint64_t>(base), left = static_cast<uint64_t>(exponent);
  for (; left != 0; left >>= 1, square *= square)
    if (left & 1) power *= square;
  return static_cast<T>(power);
}

template <class T>
WEFT_INLINE bool is_infinite(T x) {
  if constexpr (std::is_floating_point_v<T>)
    return x == x && x - x != T(0);
  else
    return false;
}
template <class T>
WEFT_INLINE bool is_finite(T x) {
  if constexpr (std::is_floating_point_v<T>)
    return x - x == T(0);
  else
    return true;
}

}  // namespace math
}  // namespace WEFT_VARIANT
}  // namespace weft
