// Kernels of two operands of one type: dense operands move in packs; others are walked by their strides, in packs too
// where rows allow it (a bias along channels, say). The operation is chosen inside the loop.
#pragma once

#include "weft/cuda/functor.cuh"
#include "weft/cuda/launch.cuh"
#include "weft/cuda/walk.cuh"

namespace weft::cuda {

/// What binary operations and comparisons share: the functor's call on T, the result as R.
template <class R, class Op, class T>
__device__ inline R apply(Op op, double p, T a, T b) {
  using C = Compute<T>;
  R result = {};
  with_functor(op, p, [&](const auto& functor) { result = R(functor.f(C(a), C(b))); });
  return result;
}

template <class R, class Op, class T, int N>
__device__ inline Pack<R, N> apply(Op op, double p, const Pack<T, N>& a, const Pack<T, N>& b) {
  using C = Compute<T>;
  Pack<R, N> result = {};
  with_functor(op, p, [&](const auto& functor) {
#pragma unroll
    for (int j = 0; j < N; ++j) result.v[j] = R(functor.f(C(a.v[j]), C(b.v[j])));
  });
  return result;
}

/// b may be null: then it is `scalar`.
template <int N, class R, class Op, class T>
__global__ void pairwise_dense_kernel(Op op, double p, int64_t n, const T* a, const T* b, T scalar, R* out, bool wide) {
  Pack<T, N> second = splat<T, N>(scalar);
  for (int64_t i = thread_in_grid() * N; i < n; i += threads_in_grid() * N) {
    const Pack<T, N> first = load4<T, N>(a, i, n, wide);
    if (b) second = load4<T, N>(b, i, n, wide);
    store4(out, i, n, wide, apply<R>(op, p, first, second));
  }
}

template <int N, class R, class Op, class T>
__global__ void pairwise_walked_kernel(Op op, double p, Walk<3> walk, const T* a, const T* b, T scalar, R* out) {
  const Pack<T, N> number = splat<T, N>(scalar);
  for_walked<N>(
      walk,
      [&](const auto& offset) {
        const Pack<T, N> first = load_walked<T, N>(a, offset.at[1], walk.is_splat(1));
        const Pack<T, N> second = b ? load_walked<T, N>(b, offset.at[2], walk.is_splat(2)) : number;
        store_as(out + offset.at[0], apply<R>(op, p, first, second));
      },
      [&](const auto& offset) { out[offset.at[0]] = apply<R>(op, p, a[offset.at[1]], b ? b[offset.at[2]] : scalar); });
}

/// Starts `op` on operands of T with results of R; `geometry` as in BinaryArgs. b may be null: then it is `scalar`.
template <class R, class T, class Op>
void launch_pairwise(const char* name, Op op, double p, int64_t numel, const Collapsed* geometry, const void* a,
                     const void* b, T scalar, void* out, Stream stream) {
  constexpr int N = sizeof(R) < sizeof(T) ? 4 : pack_size<T>;
  const auto* first = static_cast<const T*>(a);
  const auto* second = static_cast<const T*>(b);
  auto* result = static_cast<R*>(out);
  if (!geometry) {
    const bool wide = holds_packs<T, N>(a, b) && holds_packs<R, N>(out);
    launch(name, pairwise_dense_kernel<N, R, Op, T>, grid_for(packs_of(numel, N), stream), stream, op, p, numel, first,
           second, scalar, result, wide);
    return;
  }
  const Walk<3> walk = walk_of<3>(*geometry, {walked<R, N>(out), walked<T, N>(a), walked<T, N>(b)}, N);
  launch(name, pairwise_walked_kernel<N, R, Op, T>, grid_for_walk(walk, N, stream), stream, op, p, walk, first, second,
         scalar, result);
}

}  // namespace weft::cuda
