// The elements of a row that a thread takes. Rows that lie one after the other and whose length packs divide are moved
// in packs, by one access each where addresses allow it; who takes which elements, in which order, depends on the
// extents alone.
#pragma once

#include "weft/cuda/pack.cuh"
#include "weft/cuda/rows.cuh"

namespace weft::cuda {

/// What a row's threads take in turn: `run` neighbouring elements, 1 or a pack. `wide`: by one access.
struct RowAccess {
  int run;
  bool wide;
};
template <class T, class... Pointers>
RowAccess access_of(const Rows& rows, const Pointers*... operands) {
  const bool packs = rows.inner == 1 && rows.n % pack_size<T> == 0;
  return {packs ? pack_size<T> : 1, packs && holds_packs<T>(operands...)};
}

/// The elements of a row that a thread takes, N by one access: the run itself if accesses are wide, else 1.
template <class T, int N>
struct RowPart {
  /// Accesses to a row that stays in registers, 8 elements of a thread (4 of 8 bytes); lanes_for gives short rows no
  /// more.
  static constexpr int held = (sizeof(T) == 8 ? 4 : 8) / N;
  int64_t n, inner;
  int lane, lanes, run;

  __device__ RowPart(const Rows& rows, const RowAccess& access, bool valid)
      : n(valid ? rows.n : 0), inner(rows.inner), lane(rows.lane()), lanes(rows.lanes), run(access.run) {}
  /// The same answer for all threads of a block.
  __device__ static bool is_held(const Rows& rows) { return rows.n <= int64_t{held} * rows.lanes * N; }
  /// The first element of the k-th access.
  __device__ int64_t at(int64_t k) const {
    if constexpr (N > 1) return (k * lanes + lane) * N;
    return run == 1 ? k * lanes + lane : (k / run * lanes + lane) * run + k % run;
  }
  /// Calls body(k, c) for the accesses to a row that is held.
  template <class Body>
  __device__ void for_held(const Body& body) const {
#pragma unroll
    for (int k = 0; k < held; ++k)
      if (at(k) < n) body(k, at(k));
  }
  /// Calls body(c) for all accesses to a row.
  template <class Body>
  __device__ void for_all(const Body& body) const {
#pragma unroll(N == 1 ? 4 : 2)
    for (int64_t k = 0; at(k) < n; ++k) body(at(k));
  }
  __device__ Pack<T, N> load(const T* row, int64_t c) const {
    return load_as<Pack<T, N>>(row + c * inner);  // packs: inner is 1
  }
  __device__ void store(T* row, int64_t c, const Pack<T, N>& pack) const { store_as(row + c * inner, pack); }
};

}  // namespace weft::cuda
