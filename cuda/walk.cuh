// Walk: the element offsets of K operands at a flat position, by divisions that are cheap on the device.
#pragma once

#include <cstdint>

#include "weft/cuda/divide.cuh"
#include "weft/cuda/launch.cuh"
#include "weft/cuda/pack.cuh"
#include "weft/tensor/collapsed.h"

namespace weft::cuda {

/// Passed to kernels by value.
template <int K>
struct Walk {
  int rank = 0;
  bool small = false;  ///< positions fit the dividers
  bool packed =
      false;  ///< packs never straddle rows; each operand's rows are contiguous and aligned, or one value each
  int64_t numel = 0;
  int64_t extent[max_rank] = {};
  int64_t stride[K][max_rank] = {};
  NarrowDivider divider[max_rank] = {};

  struct Offsets {
    int64_t at[K];
  };
  __device__ Offsets offsets(int64_t i) const {
    Offsets offsets = {};
    uint32_t narrow = static_cast<uint32_t>(i);
    for (int d = rank - 1; d >= 0; --d) {
      int64_t coordinate;
      if (small) {
        const uint32_t quotient = divider[d].divide(narrow);
        coordinate = narrow - quotient * divider[d].divisor;
        narrow = quotient;
      } else {
        const int64_t quotient = i / extent[d];
        coordinate = i - quotient * extent[d];
        i = quotient;
      }
#pragma unroll
      for (int k = 0; k < K; ++k) offsets.at[k] += coordinate * stride[k][d];
    }
    return offsets;
  }
  /// In a packed walk: true if operand k has one value along the fastest dimension.
  __device__ bool is_splat(int k) const { return stride[k][rank - 1] == 0; }
};

/// Elements of a packed walk: a pack, or one value in all places.
template <class T, int N = pack_size<T>>
__device__ inline Pack<T, N> load_walked(const T* x, int64_t offset, bool is_splat) {
  return is_splat ? splat<T, N>(x[offset]) : load_as<Pack<T, N>>(x + offset);
}

/// Calls packs(offsets) for every N elements of a packed walk, and ones(offsets) for every element that is left or, in
/// a walk that is not packed, for all.
template <int N, int K, class Packs, class Ones>
__device__ inline void for_walked(const Walk<K>& walk, const Packs& packs, const Ones& ones) {
  const int64_t packed = walk.packed ? walk.numel / N * N : 0;
  for (int64_t i = thread_in_grid() * N; i < packed; i += threads_in_grid() * N) packs(walk.offsets(i));
  for (int64_t i = packed + thread_in_grid(); i < walk.numel; i += threads_in_grid()) ones(walk.offsets(i));
}

/// An operand of a walk: where it lies, and how its packs are aligned.
struct WalkOperand {
  const void* data;
  size_t alignment;
};
template <class T, int N>
WalkOperand walked(const void* data) {
  return {data, alignof(Pack<T, N>)};
}

/// Operands in the order of `geometry`; packs are of `pack` elements.
template <int K>
Walk<K> walk_of(const Collapsed& geometry, const WalkOperand (&operands)[K], int pack) {
  Walk<K> walk;
  walk.rank = geometry.rank;
  walk.numel = geometry.numel;
  walk.small = geometry.numel < (int64_t{1} << 31);
  const int last = geometry.rank - 1;
  walk.packed = last >= 0 && (last == 0 || geometry.extent[last] % pack == 0) && geometry.stride[0][last] == 1;
  for (int d = 0; d < geometry.rank; ++d) {
    walk.extent[d] = geometry.extent[d];
    if (walk.small) walk.divider[d] = NarrowDivider(static_cast<uint32_t>(geometry.extent[d]));
    for (int k = 0; k < K; ++k) walk.stride[k][d] = geometry.stride[k][d];
  }
  for (int k = 0; k < K && walk.packed; ++k) {
    const int64_t inner = geometry.stride[k][last];
    if (inner == 0) continue;
    walk.packed = inner == 1 && reinterpret_cast<uintptr_t>(operands[k].data) % operands[k].alignment == 0;
    for (int d = 0; d < last; ++d) walk.packed = walk.packed && geometry.stride[k][d] % pack == 0;
  }
  return walk;
}

/// The walk of K dense operands in one order, if `geometry` is null.
template <int K>
Walk<K> walk_of(const Collapsed* geometry, int64_t numel, const WalkOperand (&operands)[K], int pack) {
  if (geometry) return walk_of<K>(*geometry, operands, pack);
  Collapsed dense;
  dense.rank = 1;
  dense.numel = dense.extent[0] = numel;
  for (int k = 0; k < K; ++k) dense.stride[k][0] = 1;
  return walk_of<K>(dense, operands, pack);
}

/// Threads for for_walked: one per pack, or one per element.
template <int K>
Grid grid_for_walk(const Walk<K>& walk, int pack, Stream stream) {
  return grid_for(walk.packed ? packs_of(walk.numel, pack) : walk.numel, stream);
}

}  // namespace weft::cuda
