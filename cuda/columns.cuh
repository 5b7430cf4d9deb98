// Columns: a dense tensor [rows, channels], reduced over chunks of rows per channel with neighbouring threads on
// neighbouring packs of channels. Who adds up what depends on the extents alone, not on addresses.
#pragma once

#include "weft/cuda/ahead.cuh"
#include "weft/cuda/divide.cuh"
#include "weft/cuda/reduce.cuh"

namespace weft::cuda {

struct Columns {
  int64_t rows, channels;
  int64_t chunk, chunks;  ///< rows of a chunk; chunks
  int pack;               ///< channels of a thread
  int lanes, lines;       ///< threads along the channels, along the rows: lanes * lines = reduce_threads
  int64_t tiles;          ///< of lanes * pack channels
  Divider by_tiles;       ///< task -> chunk, tile

  /// A thread's share of one task.
  struct Place {
    int64_t chunk, channel, begin, end;  // the first channel; rows of the chunk
    bool valid;                          // the channel exists
  };
  __device__ int lane() const { return static_cast<int>(threadIdx.x) % lanes; }
  __device__ int line() const { return static_cast<int>(threadIdx.x) / lanes; }
  __device__ Place place(int64_t task) const {
    const auto [c, tile] = by_tiles(task);
    const int64_t channel = (tile * lanes + lane()) * pack;
    return {c, channel, c * chunk, smaller(rows, (c + 1) * chunk), channel < channels};
  }
};

/// At most `most_lanes` threads, a power of two, share a row.
inline Columns columns_of(int64_t rows, int64_t channels, int64_t chunk, int pack, int most_lanes) {
  Columns columns = {};
  columns.rows = rows;
  columns.channels = channels;
  columns.chunk = chunk;
  columns.chunks = (rows + chunk - 1) / chunk;
  columns.pack = pack;
  columns.lanes = 1;
  const int64_t packs = packs_of(channels, pack);
  while (columns.lanes < most_lanes && columns.lanes < packs) columns.lanes *= 2;
  columns.lines = reduce_threads / columns.lanes;
  columns.tiles = (packs + columns.lanes - 1) / columns.lanes;
  columns.by_tiles = Divider(columns.tiles, columns.chunks * columns.tiles);
  return columns;
}

inline Grid grid_for_columns(const Columns& columns, Stream stream) {
  return grid_for(columns.chunks * columns.tiles * reduce_threads, stream, reduce_threads);
}

/// Merges the accumulators of the lines of each lane, in a fixed order; every thread receives its lane's result. All
/// threads of the block call it.
template <class R>
__device__ inline typename R::Acc reduce_lines(typename R::Acc acc, const Columns& columns) {
  WEFT_SHARED(typename R::Acc, parts, [reduce_threads]);
  const int self = static_cast<int>(threadIdx.x);
  parts[self] = acc;
  barrier();
  for (int half = columns.lines / 2; half > 0; half /= 2) {
    if (columns.line() < half) parts[self] = R::merge(parts[self], parts[self + half * columns.lanes]);
    barrier();
  }
  acc = parts[columns.lane()];
  barrier();  // before the next call writes
  return acc;
}

/// R for each of the channels of a pack.
template <class R, int N>
struct Each {
  struct Acc {
    typename R::Acc v[N];
  };
  __device__ static Acc none() {
    Acc acc;
#pragma unroll
    for (int j = 0; j < N; ++j) acc.v[j] = R::none();
    return acc;
  }
  __device__ static Acc merge(const Acc& a, const Acc& b) {
    Acc acc;
#pragma unroll
    for (int j = 0; j < N; ++j) acc.v[j] = R::merge(a.v[j], b.v[j]);
    return acc;
  }
};

}  // namespace weft::cuda
