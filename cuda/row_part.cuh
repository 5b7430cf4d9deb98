// The elements of a row that a thread takes. Rows that lie one after the other and whose length packs divide are moved
// in packs, by one access each where addresses allow it; short ones of another length go through shared memory, which
// packs fill with all the rows of a block. Who takes which elements, in which order, depends on the extents alone.
#pragma once

#include "weft/cuda/ahead.cuh"
#include "weft/cuda/rows.cuh"

namespace weft::cuda {

/// Elements of a row that a thread can hold in registers; lanes_for gives short rows no more.
template <class T>
inline constexpr int held_elements = sizeof(T) == 8 ? 4 : 8;
template <class T>
inline constexpr int row_run = pack_size<T> < 4 ? 4 : pack_size<T>;  ///< for rows_of

/// What a row's threads take in turn: `run` neighbouring elements, 1 or a pack. `wide`: by one access. `staged`:
/// through shared memory.
struct RowAccess {
  int run;
  bool wide, staged;
};
template <class T, class... Pointers>
RowAccess access_of(const Rows& rows, const Pointers*... operands) {
  constexpr int few = pack_size<T> < 4 ? pack_size<T> : 4;
  const bool aligned = rows.inner == 1 && holds_packs<T>(operands...);
  const int run = rows.inner != 1 ? 1 : rows.n % pack_size<T> == 0 ? pack_size<T> : rows.n % few == 0 ? few : 1;
  // The rows of a block are eight or a multiple, so that they begin where a pack may.
  const bool is_short = rows.lanes <= warp_size && rows.n <= int64_t{held_elements<T>} * rows.lanes;
  return {run, aligned && run > 1, aligned && run == 1 && is_short};
}

/// The elements of a row that a thread takes, N by one access: the run itself if accesses are wide, else 1.
template <class T, int N>
struct RowPart {
  /// Accesses to a row that stays in registers.
  static constexpr int held = held_elements<T> / N;
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
  /// Calls use(c, load(c)) for all accesses to a row; as for_ahead, with elements as far ahead as packs.
  template <class Load, class Use>
  __device__ void for_all(const Load& load, const Use& use) const {
    constexpr int ahead = N == 1 ? 4 : packs_ahead;
    if constexpr (N == 1)
      if (run > 1) {
        for (int64_t c = int64_t{lane} * run; c < n; c += int64_t{lanes} * run)
          for_ahead<false, ahead>(c, 1, c + run, load, use);
        return;
      }
    for_ahead<false, ahead>(lane * N, lanes * N, n, load, use);
  }
  __device__ Pack<T, N> load(const T* row, int64_t c) const {
    return load_as<Pack<T, N>>(row + c * inner);  // packs: inner is 1
  }
  __device__ void store(T* row, int64_t c, const Pack<T, N>& pack) const { store_as(row + c * inner, pack); }
};

/// Calls body(part) with this thread's part of a row.
template <class T, class Body>
__device__ inline void with_row_part(const Rows& rows, const RowAccess& access, bool valid, const Body& body) {
  if (!access.wide) return body(RowPart<T, 1>(rows, access, valid));
  if constexpr (pack_size < T >> 4)
    if (access.run == 4) return body(RowPart<T, 4>(rows, access, valid));
  body(RowPart<T, pack_size<T>>(rows, access, valid));
}

using Word = Pack<uint32_t>;  ///< 16 bytes of elements of any type

/// Staged rows: those that the threads of a block take at a time, in shared memory. All threads of the block make the
/// same calls.
template <class T>
class StagedRows {
 public:
  static constexpr int words = reduce_threads * held_elements<T> / pack_size<T>;

  /// The rows of the block, of which this thread takes `row`; `stage`: `words` in shared memory.
  __device__ StagedRows(const Rows& rows, int64_t row, Word* stage)
      : stage_(stage), first_(row - static_cast<int>(threadIdx.x) / rows.lanes), n_(rows.n) {
    const int64_t last = smaller(rows.count, first_ + static_cast<int>(blockDim.x) / rows.lanes);
    numel_ = static_cast<int>((last - first_) * n_);
  }
  __device__ T* row(int64_t row) const { return elements() + (row - first_) * n_; }
  __device__ void load(const T* x) const {
    x += first_ * n_;
    barrier();  // the rows of before are used
    for_ahead(
        threadIdx.x, reduce_threads, numel_ / N, [&](int64_t i) { return load_as<Word>(x + i * N); },
        [&](int64_t i, const Word& word) { stage_[i] = word; });
    if (rest() < numel_) elements()[rest()] = x[rest()];
    barrier();
  }
  __device__ void store(T* y) const {
    barrier();
    y += first_ * n_;
    for (int i = static_cast<int>(threadIdx.x); i < numel_ / N; i += reduce_threads) store_as(y + i * N, stage_[i]);
    if (rest() < numel_) y[rest()] = elements()[rest()];
  }

 private:
  static constexpr int N = pack_size<T>;
  __device__ T* elements() const { return reinterpret_cast<T*>(stage_); }
  /// The one element that this thread takes of those that are left, fewer than a pack.
  __device__ int rest() const { return numel_ / N * N + static_cast<int>(threadIdx.x); }

  Word* stage_;
  int64_t first_, n_;
  int numel_;
};

}  // namespace weft::cuda
