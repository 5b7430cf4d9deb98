// Rows of contiguous elements, at least one vector long: what softmax and cross entropy do with them. Several short
// rows lie in one block, so that the exponentials of all run in one loop; long rows are walked block by block.
#pragma once

#include <limits>

#include "weft/tensor/cpu/lanes.h"
#include "weft/tensor/math.h"

namespace weft {
namespace {

inline constexpr int64_t block = 2048;  // elements

/// exp(x) of x <= 88, with 0 where that is below 2^-126: what softmax takes of differences from the largest element.
/// The same bits as math::exp elsewhere, with fewer steps.
WEFT_INLINE float exp_below(float x) {
  const math::Reduced part = math::reduced(x);
  const float y = (1.0f + part.e) * math::power_of_two(part.n);
  return x < -0x1.5d589ep+6f ? 0.0f : y;  // NaN stays
}
WEFT_INLINE double exp_below(double x) { return math::exp(x); }

/// x itself, or its n values in the buffer.
template <class T>
WEFT_INLINE const Compute<T>* computable(const T* x, int64_t n, Compute<T>* buffer) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    return x;
  } else {
    for (int64_t i = 0; i < n; ++i) buffer[i] = static_cast<Compute<T>>(x[i]);
    return buffer;
  }
}

/// Calls body(first, count) for parts of [0, n) of at most `block` and at least a vector.
template <class C, class Body>
WEFT_INLINE void for_blocks(int64_t n, const Body& body) {
  for (int64_t i = 0, m; i < n; i += m) {
    const int64_t rest = n - i;
    m = rest <= block ? rest : rest < block + vec<C> ? block - vec<C> : block;
    body(i, m);
  }
}

template <class C>
WEFT_INLINE C top_of(const C* x, int64_t n) {
  Vec<C> top = load_vec(x);
  for_vectors<C>(n, [&](int64_t i) {
    const Vec<C> v = load_vec(x + i);
    top = top < v ? v : top;
  });
  return fold_larger(top);
}
template <class C>
WEFT_INLINE C sum_of(const C* x, int64_t n) {
  return sum_vectors<C>(n, [&](int64_t i) { return load_vec(x + i); });
}
/// out = x - by
template <class C>
WEFT_INLINE void shift(const C* x, C by, int64_t n, C* out) {
  for_vectors<C>(n, [&](int64_t i) { store_vec(out + i, load_vec(x + i) - by); });
}
/// Of x that are below the largest of their row, or their sum's logarithm.
template <class C>
WEFT_INLINE void exp_all(C* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = exp_below(x[i]);
}
/// out = x * by
template <class T, class C>
WEFT_INLINE void scale(const C* x, C by, int64_t n, T* out) {
  if constexpr (std::is_same_v<T, C>) {
    for_vectors<C>(n, [&](int64_t i) { store_vec(out + i, load_vec(x + i) * by); });
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(x[i] * by);
  }
}

/// top = max x and the sum of exp(x - top) over a row of any length; the exponentials of its last block stay in `e`.
template <class T>
WEFT_INLINE double exp_sum(const T* x, int64_t n, Compute<T>* buffer, Compute<T>* e, Compute<T>& top) {
  using C = Compute<T>;
  top = -std::numeric_limits<C>::infinity();
  for_blocks<C>(n, [&](int64_t i, int64_t m) { top = larger(top, top_of(computable(x + i, m, buffer), m)); });
  double total = 0;
  for_blocks<C>(n, [&](int64_t i, int64_t m) {
    shift(computable(x + i, m, buffer), top, m, e);
    exp_all(e, m);
    total += static_cast<double>(sum_of(e, m));
  });
  return total;
}

}  // namespace
}  // namespace weft
