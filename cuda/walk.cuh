// Walk: the element offsets of K operands at a flat position, by divisions that are cheap on the device.
#pragma once

#include <cstdint>

#include "weft/cuda/ahead.cuh"
#include "weft/cuda/divide.cuh"
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
#pragma unroll 1  // divisions are long, and a kernel has many of these loops
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
};

/// N elements of operand k, which begins at x: a pack or one value in all places in a packed walk; or the one element.
template <int N, int K, class T>
__device__ inline Pack<T, N> load_walked(const Walk<K>& walk, const typename Walk<K>::Offsets& offsets, int k,
                                         const T* x) {
  if constexpr (N > 1)
    if (walk.stride[k][walk.rank - 1] != 0) return load_as<Pack<T, N>>(x + offsets.at[k]);
  return splat<T, N>(x[offsets.at[k]]);
}

/// Calls use(n, offsets, load(n, offsets)) with n = std::integral_constant<int, N> for every N elements of a packed
/// walk and n = 1 for every element that is left or, in a walk that is not packed, for all; as for_packs.
template <int N, bool rolled = false, int K, class Load, class Use>
__device__ inline void for_walked(const Walk<K>& walk, const Load& load, const Use& use) {
  const auto part = [&](auto n, int64_t begin, int64_t end) {
    struct Element {
      typename Walk<K>::Offsets offsets;
      decltype(load(n, offsets)) value;
    };
    const auto load_at = [&](int64_t i) {
      const auto offsets = walk.offsets(i);
      return Element{offsets, load(n, offsets)};
    };
    for_ahead<rolled>(begin + thread_in_grid() * n, threads_in_grid() * n, end, load_at,
                      [&](int64_t, const Element& element) { use(n, element.offsets, element.value); });
  };
  const int64_t packed = N > 1 && walk.packed ? walk.numel / N * N : 0;
  if constexpr (N > 1) part(std::integral_constant<int, N>{}, 0, packed);
  part(std::integral_constant<int, 1>{}, packed, walk.numel);
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

/// Threads for for_walked.
template <int K>
Grid grid_for_walk(const Walk<K>& walk, int pack, Stream stream) {
  return grid_for_packs(walk.numel, walk.packed ? pack : 1, stream);
}

}  // namespace weft::cuda
