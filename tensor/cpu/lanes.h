// Groups of elements that kernels compute side by side: short vectors for work within a row, tiles of positions for
// work across rows. Their widths are the same for every instruction set, so that sums are taken in one order
// everywhere.
#pragma once

#include "weft/tensor/cpu/loops.h"

// Wide vectors as arguments: nothing here is ever called, only inlined.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

namespace weft {
namespace {

/// Eight floats or four doubles, with the operators of C.
template <class C>
struct VecOf {
  typedef C type __attribute__((vector_size(32)));
};
template <class C>
using Vec = typename VecOf<C>::type;
template <class C>
inline constexpr int64_t vec = 32 / sizeof(C);

template <class C>
WEFT_INLINE Vec<C> load_vec(const C* p) {
  Vec<C> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class C>
WEFT_INLINE void store_vec(C* p, const Vec<C>& v) {
  __builtin_memcpy(p, &v, sizeof v);
}

/// The sum, or the larger, of all elements, by halves.
WEFT_INLINE float fold_sum(const Vec<float>& values) {
  Vec<float> v = values;
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
  return v[0] + v[1];
}
WEFT_INLINE double fold_sum(const Vec<double>& v) { return (v[0] + v[2]) + (v[1] + v[3]); }
WEFT_INLINE float fold_larger(const Vec<float>& values) {
  Vec<float> v = values;
  Vec<float> w = __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
  v = v < w ? w : v;
  w = __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
  v = v < w ? w : v;
  return larger<float>(v[0], v[1]);
}
WEFT_INLINE double fold_larger(const Vec<double>& v) {
  return larger<double>(larger<double>(v[0], v[2]), larger<double>(v[1], v[3]));
}

/// Covers [0, n), n >= vec<C>, by vectors: calls body(first). The last one may reach back over elements already seen.
template <class C, class Body>
WEFT_INLINE void for_vectors(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + vec<C> <= n; i += vec<C>) body(i);
  if (i < n) body(n - vec<C>);
}
/// A copy of n >= vec<C> elements that stays a loop: compilers make a call of memcpy from a plain one.
template <class C>
WEFT_INLINE void copy_vectors(const C* from, int64_t n, C* to) {
  for_vectors<C>(n, [&](int64_t i) {
    Vec<C> v = load_vec(from + i);
    asm("" : "+r"(from));
    store_vec(to + i, v);
  });
}
/// The sum over [0, n), n >= vec<C>, of value(first), a vector; up to some thousand elements.
template <class C, class Value>
WEFT_INLINE C sum_vectors(int64_t n, const Value& value) {
  Vec<C> sum = value(0);
  int64_t i = vec<C>;
  for (; i + vec<C> <= n; i += vec<C>) sum += value(i);
  if (i < n) {
    const Vec<C> last = value(n - vec<C>);
    const int64_t seen = vec<C> - (n - i);
    for (int64_t k = 0; k < vec<C>; ++k) sum[k] += k < seen ? C(0) : last[k];
  }
  return fold_sum(sum);
}

/// Positions of dense [outer, n, inner] data, computed side by side while n is walked: one of the tiles that cover
/// [outer, inner]. A tile of `count` positions computes in `padded` lanes, a multiple of 16 that is at most `width`.
template <int width>
struct Tile {
  int count, padded;
  int begin;  ///< lanes before it were done by an earlier tile: this one reaches back over them
  bool contiguous;
  int64_t first;          ///< position of lane 0, flat in [outer, inner]
  int64_t offset[width];  ///< of every position's first element; only offset[0] if contiguous

  /// Lanes from `count` to `padded` get zeros.
  template <class T, class C>
  WEFT_INLINE void load(const T* x, C* out) const {
    if (contiguous)
      move(x + offset[0], out);
    else
      for (int k = 0; k < count; ++k) out[k] = static_cast<C>(x[offset[k]]);
    for (int k = count; k < padded; ++k) out[k] = C(0);
  }
  /// Asks for the neighbouring tile's elements: rows of a tile lie pages apart, where the hardware does not. An address
  /// behind the last one does no harm.
  template <class T>
  WEFT_INLINE void prefetch_next(const T* x) const {
    if (!contiguous) return;
    const char* const next = reinterpret_cast<const char*>(x + offset[0] + count);
    for (size_t i = 0; i < width * sizeof(T); i += 64) __builtin_prefetch(next + i);
  }
  template <class T, class C>
  WEFT_INLINE void store(T* y, const C* values) const {
    if (contiguous)
      move(values, y + offset[0]);
    else
      for (int k = 0; k < count; ++k) y[offset[k]] = static_cast<T>(values[k]);
  }

 private:
  template <class From, class To>
  WEFT_INLINE void move(const From* from, To* to) const {
    if constexpr (std::is_same_v<From, To>)
      copy_vectors(from, count, to);
    else
      for (int k = 0; k < count; ++k) to[k] = static_cast<To>(from[k]);
  }
};

template <int width>
struct Tiles {
  int64_t outer, n, inner;

  // Short runs of inner positions are put together across outer ones; in long ones the last tile reaches back.
  WEFT_INLINE bool flat() const { return inner < 16; }
  WEFT_INLINE int64_t per_outer() const { return (inner + width - 1) / width; }
  WEFT_INLINE int64_t count() const { return flat() ? (outer * inner + width - 1) / width : outer * per_outer(); }
  WEFT_INLINE void locate(int64_t index, Tile<width>& tile) const {
    tile.begin = 0;
    tile.contiguous = !flat();
    if (flat()) {
      tile.first = index * width;
      tile.count = static_cast<int>(smaller<int64_t>(width, outer * inner - tile.first));
      for (int k = 0; k < tile.count; ++k) {
        const int64_t position = tile.first + k;
        tile.offset[k] = position / inner * n * inner + position % inner;
      }
    } else {
      const int64_t o = index / per_outer();
      const int64_t i = index % per_outer() * width;
      const int64_t start = larger<int64_t>(0, smaller(i, inner - width));
      tile.count = static_cast<int>(smaller<int64_t>(width, inner));
      tile.begin = static_cast<int>(i - start);
      tile.first = o * inner + start;
      tile.offset[0] = o * n * inner + start;
    }
    tile.padded = (tile.count + 15) / 16 * 16;
  }
};

}  // namespace
}  // namespace weft
