// Packs: a few neighbouring elements moved by one access, where addresses allow it.
#pragma once

#include "weft/cuda/platform.cuh"
#include "weft/tensor/dtype.h"

namespace weft::cuda {

/// Elements of 16 bytes.
template <class T>
inline constexpr int pack_size = 16 / static_cast<int>(sizeof(T));

/// N is given where operands of different types move together.
template <class T, int N = pack_size<T>>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  T v[N];
};

/// A pack of each of K operands.
template <class T, int K, int N = pack_size<T>>
struct Packs {
  Pack<T, N> of[K];
};

/// True if a Pack<T, N> may be loaded from (and stored to) each of the addresses.
template <class T, int N = pack_size<T>, class... Pointers>
WEFT_HD bool holds_packs(const Pointers*... addresses) {
  return ((reinterpret_cast<uintptr_t>(addresses) % alignof(Pack<T, N>) == 0) && ...);
}

/// Elements i … of x[0, n); those past the end are 0. `wide`: x holds packs, and i is a multiple of N.
template <class T, int N = pack_size<T>>
__device__ inline Pack<T, N> load4(const T* x, int64_t i, int64_t n, bool wide) {
  if (wide && i + N <= n) return load_as<Pack<T, N>>(x + i);
  Pack<T, N> pack = {};
#pragma unroll
  for (int j = 0; j < N; ++j)
    if (i + j < n) pack.v[j] = x[i + j];
  return pack;
}

template <class T, int N>
__device__ inline void store4(T* y, int64_t i, int64_t n, bool wide, const Pack<T, N>& pack) {
  if (wide && i + N <= n) {
    store_as(y + i, pack);
    return;
  }
#pragma unroll
  for (int j = 0; j < N; ++j)
    if (i + j < n) y[i + j] = pack.v[j];
}

/// One value in all places.
template <class T, int N = pack_size<T>>
__device__ inline Pack<T, N> splat(T value) {
  Pack<T, N> pack;
#pragma unroll
  for (int j = 0; j < N; ++j) pack.v[j] = value;
  return pack;
}

/// Calls f(std::integral_constant<int, N>) with the elements that move together: the most of a pack of T, four and one
/// that divide `extent`, if the operands hold packs (`aligned`), else one.
template <class T, class F>
void with_pack(int64_t extent, bool aligned, const F& f) {
  constexpr int N = pack_size<T>, few = N < 4 ? N : 4;
  if (aligned && extent % N == 0)
    f(std::integral_constant<int, N>{});
  else if (aligned && extent % few == 0)
    f(std::integral_constant<int, few>{});
  else
    f(std::integral_constant<int, 1>{});
}

/// Packs of N that cover n elements.
constexpr int64_t packs_of(int64_t n, int pack) { return (n + pack - 1) / pack; }

}  // namespace weft::cuda
