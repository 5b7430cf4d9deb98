// Reductions of strided tensors, seen as [kept, reduced], to one value per kept position. The reduced positions are cut
// in chunks that depend on the extents alone; the chunks' results are merged in order by a second kernel. So the result
// is a function of the input: neither the device nor the schedule enters.
//
// A reducer (reduce.cuh) has here also
//   static Acc take(const Acc&, T x, int64_t r);     one more element, at reduced position r
// and a finish is a plain struct that stores what came out: void operator()(int64_t k, const Acc&) const.
#pragma once

#include <algorithm>

#include "weft/cuda/columns.cuh"
#include "weft/cuda/walk.cuh"
#include "weft/cuda/workspace.h"
#include "weft/tensor/ops/reduce.h"

namespace weft::cuda {

struct ReducePlan {
  bool by_columns;  ///< neighbouring kept positions are nearer in memory than neighbouring reduced ones
  bool packed;      ///< a row (or, of columns, neighbouring kept positions) can be read in packs
  int lanes;        ///< threads that share a row (rows only)
  int64_t chunks, chunk;
  Divider by_chunks;  ///< task -> kept position, chunk (rows only)
  Walk<1> kept, reduced;
  Columns columns;  ///< reduced positions as rows, kept ones as channels
};

/// Kept positions of a thread, of columns that lie side by side: as many as an access brings and shared memory holds.
template <class R, class T>
inline constexpr int column_pack = std::min(pack_size<T>, 128 / static_cast<int>(sizeof(typename R::Acc)));

/// A chunk's share of one kept position per group of lanes.
template <class R, class T, class Finish>
__global__ void reduce_rows_kernel(ReducePlan plan, const T* x, typename R::Acc* parts, Finish finish) {
  constexpr int N = pack_size<T>;
  const int lane = static_cast<int>(threadIdx.x) % plan.lanes, groups = static_cast<int>(blockDim.x) / plan.lanes;
  const int64_t tasks = plan.kept.numel * plan.chunks;
  for (int64_t first = int64_t{blockIdx.x} * groups; first < tasks; first += int64_t{gridDim.x} * groups) {
    const int64_t task = first + static_cast<int>(threadIdx.x) / plan.lanes;
    const auto [k, c] = plan.by_chunks(task);
    auto acc = R::none();
    if (task < tasks) {
      const T* row = x + plan.kept.offsets(k).at[0];
      const int64_t end = smaller(plan.reduced.numel, (c + 1) * plan.chunk);
      int64_t r = c * plan.chunk;
      if (plan.packed) {
        typename R::Acc own[N];  // independent sums: shorter chains and smaller errors
#pragma unroll
        for (int j = 0; j < N; ++j) own[j] = R::none();
        const int64_t last = r + (end - r) / N * N;
        for_ahead(
            r + int64_t{lane} * N, int64_t{plan.lanes} * N, last,
            [&](int64_t i) { return load_as<Pack<T>>(row + plan.reduced.offsets(i).at[0]); },
            [&](int64_t i, const Pack<T>& pack) {
#pragma unroll
              for (int j = 0; j < N; ++j) own[j] = R::take(own[j], pack.v[j], i + j);
            });
#pragma unroll
        for (int j = 0; j < N; ++j) acc = R::merge(acc, own[j]);
        r = last;
      }
      for_ahead(
          r + lane, plan.lanes, end, [&](int64_t i) { return row[plan.reduced.offsets(i).at[0]]; },
          [&](int64_t i, T value) { acc = R::take(acc, value, i); });
    }
    acc = reduce_lanes<R>(acc, plan.lanes);
    if (task < tasks && lane == 0) {
      if (parts)
        parts[task] = acc;
      else
        finish(k, acc);
    }
  }
}

/// A chunk's share of neighbouring kept positions per block, N per thread.
template <int N, class R, class T, class Finish>
__global__ void reduce_columns_kernel(ReducePlan plan, const T* x, typename R::Acc* parts, Finish finish) {
  constexpr int ahead = 4;
  const Columns& columns = plan.columns;
  for (int64_t task = blockIdx.x; task < columns.chunks * columns.tiles; task += gridDim.x) {
    const auto place = columns.place(task);
    auto acc = Each<R, N>::none();
    if (place.valid) {
      const T* column = x + plan.kept.offsets(place.channel).at[0];
      with_bool(N == 1 || plan.packed, [&](auto packed) {
        const auto load = [&](int64_t r) {
          const T* from = column + plan.reduced.offsets(r).at[0];
          if constexpr (packed) return load_as<Pack<T, N>>(from);
          return load4<T, N>(from, 0, N, false);
        };
        for_ahead<false, ahead>(place.begin + columns.line(), columns.lines, place.end, load,
                                [&](int64_t r, const Pack<T, N>& pack) {
#pragma unroll
                                  for (int j = 0; j < N; ++j) acc.v[j] = R::take(acc.v[j], pack.v[j], r);
                                });
      });
    }
    acc = reduce_lines<Each<R, N>>(acc, columns);
    if (columns.line() != 0 || !place.valid) continue;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      if (parts)
        parts[(place.channel + j) * columns.chunks + place.chunk] = acc.v[j];
      else
        finish(place.channel + j, acc.v[j]);
    }
  }
}

/// parts [kept, chunks] -> one value per kept position, a warp each; W: the reducer of the last merges, which may be
/// wider.
template <class W, class Part, class Finish>
__global__ void reduce_parts_kernel(int64_t kept, int64_t chunks, const Part* parts, Finish finish) {
  const int lane = static_cast<int>(threadIdx.x) % warp_size, warps = static_cast<int>(blockDim.x) / warp_size;
  for (int64_t first = int64_t{blockIdx.x} * warps; first < kept; first += int64_t{gridDim.x} * warps) {
    const int64_t k = first + static_cast<int>(threadIdx.x) / warp_size;
    auto acc = W::none();
    if (k < kept)
      for (int64_t c = lane; c < chunks; c += warp_size) acc = W::merge(acc, typename W::Acc(parts[k * chunks + c]));
    acc = reduce_lanes<W>(acc, warp_size);
    if (k < kept && lane == 0) finish(k, acc);
  }
}

inline Walk<1> walk_of_extents(int rank, const int64_t* extent, const int64_t* stride, int64_t numel,
                               WalkOperand operand, int pack) {
  Collapsed geometry;
  geometry.rank = rank;
  geometry.numel = numel;
  std::copy_n(extent, rank, geometry.extent);
  std::copy_n(stride, rank, geometry.stride[0]);
  return walk_of<1>(geometry, {operand}, pack);
}

/// True if all but the last `but` strides are multiples of the pack.
inline bool strides_are_even(int rank, const int64_t* stride, int but, int pack) {
  return std::all_of(stride, stride + std::max(0, rank - but), [pack](int64_t s) { return s % pack == 0; });
}

/// N: column_pack.
template <class T, int N>
ReducePlan plan_reduction(const Reduction& g, const void* x) {
  constexpr int64_t enough_blocks = 2048;
  const auto fastest = [](int rank, const int64_t* stride) { return rank > 0 ? stride[rank - 1] : int64_t{1} << 62; };
  ReducePlan plan = {};
  plan.by_columns = g.kept > 1 && fastest(g.kept_rank, g.kept_stride) < fastest(g.reduced_rank, g.reduced_stride);
  plan.kept = walk_of_extents(g.kept_rank, g.kept_extent, g.kept_stride, g.kept, {x, 1}, 1);
  plan.reduced = walk_of_extents(g.reduced_rank, g.reduced_extent, g.reduced_stride, g.reduced,
                                 walked<T, pack_size<T>>(x), pack_size<T>);
  int pack = 1;
  if (plan.by_columns) {
    const bool even = fastest(g.kept_rank, g.kept_stride) == 1 && g.kept_extent[g.kept_rank - 1] % N == 0 &&
                      strides_are_even(g.kept_rank, g.kept_stride, 1, N) &&
                      strides_are_even(g.reduced_rank, g.reduced_stride, 0, N);
    pack = even ? N : 1;
    plan.packed = holds_packs<T, N>(static_cast<const T*>(x));
  } else {
    plan.packed = plan.reduced.packed && strides_are_even(g.kept_rank, g.kept_stride, 0, pack_size<T>);
  }
  const Columns shape = columns_of(g.reduced, g.kept, 1, pack, warp_size);
  const int64_t groups = plan.by_columns ? shape.tiles : g.kept;
  // Elements of a chunk along the reduced positions.
  const int64_t least = plan.by_columns ? std::max(64, 4 * shape.lines) : 4096;
  const int64_t most = std::max<int64_t>(1, enough_blocks / groups);
  const int64_t wanted = std::clamp<int64_t>(g.reduced / least, 1, most);
  plan.chunk = (g.reduced + wanted - 1) / wanted;
  plan.chunk = (plan.chunk + pack_size<T> - 1) / pack_size<T> * pack_size<T>;
  plan.chunks = (g.reduced + plan.chunk - 1) / plan.chunk;
  plan.by_chunks = Divider(plan.chunks, groups * plan.chunks + reduce_threads);
  plan.lanes = lanes_for(plan.chunk, std::max(4, pack_size<T>));
  if (plan.by_columns) plan.columns = columns_of(g.reduced, g.kept, plan.chunk, pack, warp_size);
  return plan;
}

/// R reduces chunks, W what they came to; finish takes the Acc of either.
template <class R, class W, class T, class Finish>
void launch_reduction(const char* name, const Reduction& geometry, const void* data, const Finish& finish,
                      Stream stream) {
  using Part = typename R::Acc;
  const auto* x = static_cast<const T*>(data);
  constexpr int N = column_pack<R, T>;
  const ReducePlan plan = plan_reduction<T, N>(geometry, data);
  const auto reduce = [&](Part* parts) {
    if (plan.by_columns) {
      const auto kernel =
          plan.columns.pack == 1 ? reduce_columns_kernel<1, R, T, Finish> : reduce_columns_kernel<N, R, T, Finish>;
      launch(name, kernel, grid_for_columns(plan.columns, stream), stream, plan, x, parts, finish);
    } else {
      launch(name, reduce_rows_kernel<R, T, Finish>,
             grid_for(geometry.kept * plan.chunks * plan.lanes, stream, reduce_threads), stream, plan, x, parts,
             finish);
    }
  };
  if (plan.chunks == 1) {
    reduce(nullptr);
    return;
  }
  const Workspace parts(static_cast<size_t>(geometry.kept * plan.chunks) * sizeof(Part), stream);
  reduce(static_cast<Part*>(parts.data()));
  launch(name, reduce_parts_kernel<W, Part, Finish>, grid_for_warps(geometry.kept, stream, reduce_threads), stream,
         geometry.kept, plan.chunks, static_cast<const Part*>(parts.data()), finish);
}

}  // namespace weft::cuda
