// The longer functions and derivatives of the list in tensor/pointwise.h.
#pragma once

#include "weft/tensor/math.h"

namespace weft {
inline namespace WEFT_VARIANT {
namespace math {

template <class T>
WEFT_INLINE T silu_slope(T x) {
  const T y = sigmoid(x);
  return y * (T(1) + x * (T(1) - y));
}
template <class T>
WEFT_INLINE T silu_curve(T x) {
  const T y = sigmoid(x);
  return y * (T(1) - y) * (T(2) + x * (T(1) - T(2) * y));
}
/// The normal distribution function; gelu(x) = x times it.
template <class T>
WEFT_INLINE T normal_distribution(T x) {
  return T(0.5) * (T(1) + erf(T(0.7071067811865476) * x));
}
template <class T>
WEFT_INLINE T normal_density(T x) {
  return T(0.3989422804014327) * exp(T(-0.5) * x * x);
}
template <class T>
WEFT_INLINE T gelu_slope(T x) {
  return normal_distribution(x) + x * normal_density(x);
}
template <class T>
WEFT_INLINE T gelu_curve(T x) {
  return normal_density(x) * (T(2) - x * x);
}
/// p x^(p - 1) and p (p - 1) x^(p - 2), 0 where the factor is 0.
template <class T>
WEFT_INLINE T power_slope(T x, T p) {
  return p == T(0) ? T(0) : p * pow(x, p - T(1));
}
template <class T>
WEFT_INLINE T power_curve(T x, T p) {
  return p * (p - T(1)) == T(0) ? T(0) : p * (p - T(1)) * pow(x, p - T(2));
}
/// 2 / sqrt(pi) exp(-x^2): the derivative of erf.
template <class T>
WEFT_INLINE T erf_slope(T x) {
  return T(1.1283791670955126) * exp(-x * x);
}
/// x min(max(x + 3, 0), 6) / 6.
template <class T>
WEFT_INLINE T hard_swish(T x) {
  return x * clamp(x + T(3), T(0), T(6)) / T(6);
}
template <class T>
WEFT_INLINE T hard_swish_slope(T x) {
  return x < T(-3) ? T(0) : x <= T(3) ? x / T(3) + T(0.5) : T(1);
}
/// min(max(x + 3, 0), 6) / 6.
template <class T>
WEFT_INLINE T hard_sigmoid(T x) {
  return clamp(x + T(3), T(0), T(6)) / T(6);
}
template <class T>
WEFT_INLINE T hard_sigmoid_slope(T x) {
  return x > T(-3) && x < T(3) ? T(1) / T(6) : T(0);
}
/// x where positive, else p (exp(x) - 1).
template <class T>
WEFT_INLINE T elu(T x, T p) {
  return x > T(0) ? x : p * expm1(x);
}
template <class T>
WEFT_INLINE T elu_slope(T x, T p) {
  return x > T(0) ? T(1) : p * exp(x);
}
template <class T>
WEFT_INLINE T elu_curve(T x, T p) {
  return x > T(0) ? T(0) : p * exp(x);
}
template <class T>
WEFT_INLINE T log1p_curve(T x) {
  const T y = T(1) / (T(1) + x);
  return -y * y;
}

}  // namespace math
}  // namespace WEFT_VARIANT
}  // namespace weft
