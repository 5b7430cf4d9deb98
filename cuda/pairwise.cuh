// Kernels of two operands of one type: dense operands move in packs; others are walked by their strides, in packs too
// where rows allow it (a bias along channels, say). The operation is chosen inside the loop.
#pragma once

#include <algorithm>

#include "weft/cuda/functor.cuh"
#include "weft/cuda/walk.cuh"

namespace weft::cuda {

/// What binary operations and comparisons share: the functor's calls on T, the results as R.
template <class R, class Op, class T, int N>
__device__ inline Pack<R, N> apply(Op op, double p, const Packs<T, 2, N>& operands) {
  using C = Compute<T>;
  Pack<R, N> result = {};
  with_functor(op, p, [&](const auto& functor) {
#pragma unroll
    for (int j = 0; j < N; ++j) result.v[j] = R(functor.f(C(operands.of[0].v[j]), C(operands.of[1].v[j])));
  });
  return result;
}

/// b may be null: then it is `scalar`.
template <int N, class R, class Op, class T>
__global__ void pairwise_dense_kernel(Op op, double p, int64_t n, const T* a, const T* b, T scalar, R* out, bool wide) {
  const auto load = [&](auto size, int64_t i) {
    return Packs<T, 2, size>{load_as<Pack<T, size>>(a + i), b ? load_as<Pack<T, size>>(b + i) : splat<T, size>(scalar)};
  };
  for_packs<N, true>(n, wide, load,
                     [&](auto, int64_t i, const auto& operands) { store_as(out + i, apply<R>(op, p, operands)); });
}

template <int N, class R, class Op, class T>
__global__ void pairwise_walked_kernel(Op op, double p, Walk<3> walk, const T* a, const T* b, T scalar, R* out) {
  const auto load = [&](auto n, const auto& offsets) {
    return Packs<T, 2, n>{load_walked<n>(walk, offsets, 1, a),
                          b ? load_walked<n>(walk, offsets, 2, b) : splat<T, n>(scalar)};
  };
  for_walked<N, true>(walk, load, [&](auto, const auto& offsets, const auto& operands) {
    store_as(out + offsets.at[0], apply<R>(op, p, operands));
  });
}

/// Starts `op` on operands of T with results of R; `geometry` as in BinaryArgs. b may be null: then it is `scalar`.
template <class R, class T, class Op>
void launch_pairwise(const char* name, Op op, double p, int64_t numel, const Collapsed* geometry, const void* a,
                     const void* b, T scalar, void* out, Stream stream) {
  // Results of one byte want four at least; 16 operations at once, on bytes, would take too many registers.
  constexpr int least = sizeof(R) < sizeof(T) ? 4 : 1, most = 8;
  constexpr int N = std::clamp(pack_size<T>, least, most);
  const auto* first = static_cast<const T*>(a);
  const auto* second = static_cast<const T*>(b);
  auto* result = static_cast<R*>(out);
  if (!geometry) {
    const bool wide = holds_packs<T, N>(a, b) && holds_packs<R, N>(out);
    launch(name, pairwise_dense_kernel<N, R, Op, T>, grid_for_packs(numel, wide ? N : 1, stream), stream, op, p, numel,
           first, second, scalar, result, wide);
    return;
  }
  const Walk<3> walk = walk_of<3>(*geometry, {walked<R, N>(out), walked<T, N>(a), walked<T, N>(b)}, N);
  launch(name, pairwise_walked_kernel<N, R, Op, T>, grid_for_walk(walk, N, stream), stream, op, p, walk, first, second,
         scalar, result);
}

}  // namespace weft::cuda
