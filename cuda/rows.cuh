// Rows: a dense tensor [outer, n, inner] as outer * inner rows of n elements that lie `inner` apart. Where inner is 1
// several threads share a row; else neighbouring threads take neighbouring rows, which lie side by side.
#pragma once

#include "weft/cuda/divide.cuh"
#include "weft/cuda/launch.cuh"
#include "weft/cuda/reduce.cuh"

namespace weft::cuda {

struct Rows {
  int64_t count, n, inner;
  int lanes;         ///< threads of a row, as reduce_lanes wants them
  Divider by_inner;  ///< row -> outer, inner

  /// Offset of the row's first element.
  __device__ int64_t base(int64_t row) const {
    const auto [outer, in] = by_inner(row);
    return outer * n * inner + in;
  }
  /// This thread's place among the threads of a row.
  __device__ int lane() const { return static_cast<int>(threadIdx.x) % lanes; }
  /// Calls body(row, base, valid) for the rows of this thread. All threads of a block make the same number of calls, so
  /// that they can meet in reduce_lanes; valid: the row exists.
  template <class Body>
  __device__ void for_each(const Body& body) const {
    const int groups = static_cast<int>(blockDim.x) / lanes;
    for (int64_t first = int64_t{blockIdx.x} * groups; first < count; first += int64_t{gridDim.x} * groups) {
      const int64_t row = first + static_cast<int>(threadIdx.x) / lanes;
      body(row, base(row), row < count);
    }
  }
};

/// run: as lanes_for.
inline Rows rows_of(int64_t outer, int64_t n, int64_t inner, int run) {
  constexpr int64_t few = 2048;  // rows side by side, but too few of them to fill a device
  const int64_t count = outer * inner;
  return {count, n, inner, inner == 1 || count < few ? lanes_for(n, run) : 1, Divider(inner, count + reduce_threads)};
}

inline Grid grid_for_rows(const Rows& rows, Stream stream) {
  return grid_for(rows.count * rows.lanes, stream, reduce_threads);
}

}  // namespace weft::cuda
