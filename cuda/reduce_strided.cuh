// Reductions of strided tensors, seen as [kept, reduced], to one value per kept position. The reduced positions are cut
// in chunks that depend on the extents alone; the chunks' results are merged in order by a second kernel. So the result
// is a function of the input: neither the device nor the schedule enters.
//
// A reducer (reduce.cuh) has here also
//   static Acc take(const Acc&, T x, int64_t r);     one more element, at reduced position r
// and a finish is a plain struct that stores what came out: void operator()(int64_t k, const Acc&) const.
#pragma once

#include <algorithm>

#include "weft/cuda/reduce.cuh"
#include "weft/cuda/walk.cuh"
#include "weft/cuda/workspace.h"
#include "weft/tensor/ops/reduce.h"

namespace weft::cuda {

struct ReducePlan {
  bool columns;  ///< neighbouring kept positions are nearer in memory than neighbouring reduced ones
  bool packed;   ///< a row can be read in packs (rows only)
  int lanes;     ///< threads that share a row (rows only)
  int64_t chunks, chunk;
  Divider by_chunks;  ///< task -> kept position (or tile of them), chunk
  Walk<1> kept, reduced;
};

inline constexpr int column_lanes = warp_size;
inline constexpr int column_lines = reduce_threads / column_lanes;

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
        for (int64_t i = r + int64_t{lane} * N; i < last; i += int64_t{plan.lanes} * N) {
          const auto pack = load_as<Pack<T>>(row + plan.reduced.offsets(i).at[0]);
#pragma unroll
          for (int j = 0; j < N; ++j) own[j] = R::take(own[j], pack.v[j], i + j);
        }
#pragma unroll
        for (int j = 0; j < N; ++j) acc = R::merge(acc, own[j]);
        r = last;
      }
      for (r += lane; r < end; r += plan.lanes) acc = R::take(acc, row[plan.reduced.offsets(r).at[0]], r);
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

/// A chunk's share of 32 neighbouring kept positions per block.
template <class R, class T, class Finish>
__global__ void reduce_columns_kernel(ReducePlan plan, const T* x, typename R::Acc* parts, Finish finish) {
  WEFT_SHARED(typename R::Acc, lines, [column_lines][column_lanes]);
  const int lane = static_cast<int>(threadIdx.x) % column_lanes, line = static_cast<int>(threadIdx.x) / column_lanes;
  const int64_t tiles = (plan.kept.numel + column_lanes - 1) / column_lanes;
  for (int64_t task = blockIdx.x; task < tiles * plan.chunks; task += gridDim.x) {
    const auto [tile, c] = plan.by_chunks(task);
    const int64_t k = tile * column_lanes + lane;
    auto acc = R::none();
    if (k < plan.kept.numel) {
      const T* column = x + plan.kept.offsets(k).at[0];
      const int64_t end = smaller(plan.reduced.numel, (c + 1) * plan.chunk);
      constexpr int ahead = 4;  // loads on their way at once
      for (int64_t first = c * plan.chunk + line; first < end; first += ahead * column_lines) {
        T value[ahead] = {};
#pragma unroll
        for (int j = 0; j < ahead; ++j) {
          const int64_t r = first + j * column_lines;
          if (r < end) value[j] = column[plan.reduced.offsets(r).at[0]];
        }
#pragma unroll
        for (int j = 0; j < ahead; ++j) {
          const int64_t r = first + j * column_lines;
          if (r < end) acc = R::take(acc, value[j], r);
        }
      }
    }
    lines[line][lane] = acc;
    barrier();
    if (line == 0 && k < plan.kept.numel) {
      for (int other = 1; other < column_lines; ++other) acc = R::merge(acc, lines[other][lane]);
      if (parts)
        parts[k * plan.chunks + c] = acc;
      else
        finish(k, acc);
    }
    barrier();
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

template <class T>
ReducePlan plan_reduction(const Reduction& g, const void* x) {
  constexpr int64_t enough_blocks = 2048;
  const auto fastest = [](int rank, const int64_t* stride) { return rank > 0 ? stride[rank - 1] : int64_t{1} << 62; };
  ReducePlan plan = {};
  plan.columns = g.kept > 1 && fastest(g.kept_rank, g.kept_stride) < fastest(g.reduced_rank, g.reduced_stride);
  plan.kept = walk_of_extents(g.kept_rank, g.kept_extent, g.kept_stride, g.kept, {x, 1}, 1);
  plan.reduced = walk_of_extents(g.reduced_rank, g.reduced_extent, g.reduced_stride, g.reduced,
                                 walked<T, pack_size<T>>(x), pack_size<T>);
  plan.packed = plan.reduced.packed;
  for (int d = 0; d < g.kept_rank; ++d) plan.packed = plan.packed && g.kept_stride[d] % pack_size<T> == 0;
  const int64_t groups = plan.columns ? (g.kept + column_lanes - 1) / column_lanes : g.kept;
  const int64_t least = plan.columns ? 64 : 4096;  // elements of a chunk along the reduced positions
  const int64_t most = std::max<int64_t>(1, enough_blocks / groups);
  const int64_t wanted = std::clamp<int64_t>(g.reduced / least, 1, most);
  plan.chunk = (g.reduced + wanted - 1) / wanted;
  plan.chunk = (plan.chunk + pack_size<T> - 1) / pack_size<T> * pack_size<T>;
  plan.chunks = (g.reduced + plan.chunk - 1) / plan.chunk;
  plan.by_chunks = Divider(plan.chunks, groups * plan.chunks + reduce_threads);
  plan.lanes = lanes_for(plan.chunk);
  return plan;
}

/// R reduces chunks, W what they came to; finish takes the Acc of either.
template <class R, class W, class T, class Finish>
void launch_reduction(const char* name, const Reduction& geometry, const void* data, const Finish& finish,
                      Stream stream) {
  using Part = typename R::Acc;
  const auto* x = static_cast<const T*>(data);
  const ReducePlan plan = plan_reduction<T>(geometry, data);
  const auto reduce = [&](Part* parts) {
    if (plan.columns) {
      const int64_t tiles = (geometry.kept + column_lanes - 1) / column_lanes;
      launch(name, reduce_columns_kernel<R, T, Finish>,
             grid_for(tiles * plan.chunks * reduce_threads, stream, reduce_threads), stream, plan, x, parts, finish);
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
