// Loops that keep several loads on their way: those of a thread's next packs are asked for before the first is used.
// The compiler cannot do so by itself, for all it knows a store in between might change what is loaded.
#pragma once

#include "weft/cuda/launch.cuh"
#include "weft/cuda/pack.cuh"

namespace weft::cuda {

/// body(std::true_type{}) or body(std::false_type{}): loads that need not ask can all be on their way at once.
template <class Body>
__device__ inline void with_bool(bool value, const Body& body) {
  if (value)
    body(std::true_type{});
  else
    body(std::false_type{});
}

/// Packs of an operand that a thread has on their way at once.
inline constexpr int packs_ahead = 2;

/// Calls use(i, load(i)) for i = first, first + step, … below end, in this order; returns what follows the last i.
/// Loads must not ask whether they may be wide: the answers would meet in a value that has arrived. `rolled`: use is
/// compiled once, not `ahead` times.
template <bool rolled = false, int ahead = packs_ahead, class Load, class Use>
__device__ inline int64_t for_ahead(int64_t first, int64_t step, int64_t end, const Load& load, const Use& use) {
  while (first < end) {
    const int count = first + (ahead - 1) * step < end ? ahead : 1;
    decltype(load(first)) value[ahead] = {};
#pragma unroll
    for (int k = 0; k < ahead; ++k)
      if (k < count) value[k] = load(first + k * step);
    if constexpr (rolled) {
#pragma unroll 1
      for (int k = 0; k < count; ++k) {
        auto chosen = value[0];
#pragma unroll
        for (int other = 1; other < ahead; ++other)
          if (other == k) chosen = value[other];  // an index known at run time would move the values to memory
        use(first + k * step, chosen);
      }
    } else {
#pragma unroll
      for (int k = 0; k < ahead; ++k)
        if (k < count) use(first + k * step, value[k]);
    }
    first += count * step;
  }
  return first;
}

/// The n elements of dense operands that this thread of the grid takes: calls use(size, i, load(size, i)) with size =
/// std::integral_constant<int, N> for whole packs, if all operands hold them (`wide`), and with size = 1 for what is
/// left.
template <int N, bool rolled = false, class Load, class Use>
__device__ inline void for_packs(int64_t n, bool wide, const Load& load, const Use& use) {
  const auto part = [&](auto size, int64_t begin, int64_t end) {
    for_ahead<rolled>(
        begin + thread_in_grid() * size, threads_in_grid() * size, end, [&](int64_t i) { return load(size, i); },
        [&](int64_t i, const auto& value) { use(size, i, value); });
  };
  const int64_t packed = wide ? n / N * N : 0;
  part(std::integral_constant<int, N>{}, 0, packed);
  part(std::integral_constant<int, 1>{}, packed, n);
}

/// Threads for for_packs: `size` elements move together.
inline Grid grid_for_packs(int64_t n, int size, Stream stream) {
  return grid_for(packs_of(n, size * packs_ahead), stream);
}

}  // namespace weft::cuda
