// Reductions in a fixed order. A reducer is a plain struct with
//   struct Acc;                                      what is accumulated: trivial
//   static Acc none();                               of no elements
//   static Acc merge(const Acc&, const Acc&);        commutative
//   static Acc exchange(const Acc&, int mask);       that of lane (own lane ^ mask)
#pragma once

#include <limits>

#include "weft/cuda/platform.cuh"

namespace weft::cuda {

inline constexpr int reduce_threads = 256;

/// Merges the accumulators of groups of `lanes` neighbouring threads; every thread of a group receives the result.
/// lanes: a power of two up to 32, or reduce_threads, which is the size of the block. All threads of the block call it.
template <class R>
__device__ inline typename R::Acc reduce_lanes(typename R::Acc acc, int lanes) {
  constexpr int warps = reduce_threads / warp_size;
  WEFT_SHARED(typename R::Acc, parts, [warps]);
  for (int mask = (lanes < warp_size ? lanes : warp_size) / 2; mask > 0; mask /= 2)
    acc = R::merge(acc, R::exchange(acc, mask));
  if (lanes <= warp_size) return acc;
  if (threadIdx.x % warp_size == 0) parts[threadIdx.x / warp_size] = acc;
  barrier();
  acc = parts[0];
  for (int w = 1; w < warps; ++w) acc = R::merge(acc, parts[w]);
  barrier();  // before the next call writes
  return acc;
}

/// Lanes that share a row of n elements: few for short rows, so that a warp takes several; at least `run` elements
/// each.
inline int lanes_for(int64_t n, int run) {
  if (n > 1024) return reduce_threads;
  int lanes = 1;
  while (lanes < warp_size && lanes * run < n) lanes *= 2;
  return lanes;
}

template <class C>
struct Sum {
  using Acc = C;
  __device__ static Acc none() { return C(0); }
  __device__ static Acc merge(const Acc& a, const Acc& b) { return a + b; }
  __device__ static Acc exchange(const Acc& a, int mask) { return shuffle_xor(a, mask); }
};

/// The larger; NaN wins.
template <class C>
struct Largest {
  using Acc = C;
  __device__ static Acc none() { return -std::numeric_limits<C>::infinity(); }
  __device__ static Acc merge(const Acc& a, const Acc& b) { return a != a || a > b ? a : b; }
  __device__ static Acc exchange(const Acc& a, int mask) { return shuffle_xor(a, mask); }
};

}  // namespace weft::cuda
