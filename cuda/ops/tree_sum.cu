// Sums by a tree: each thread adds the packs of all terms in registers.
#include "weft/tensor/ops/tree_sum.h"

#include "weft/cuda/launch.cuh"
#include "weft/cuda/pack.cuh"

namespace weft::cuda {
namespace {

/// Elements of 16 bytes.
template <class T>
inline constexpr int width = 16 / static_cast<int>(sizeof(T));

template <class T>
struct Terms {
  const T* x[tree_sum_most];
  int count;
  uint32_t wide;  ///< bit k: x[k] holds packs
};

/// The tree over terms [first, first + size) as far as there are so many.
template <int first, int size, class T>
__device__ Pack<T, width<T>> tree(const Terms<T>& terms, int64_t i, int64_t numel) {
  using C = Compute<T>;
  constexpr int N = width<T>;
  if constexpr (size == 1) {
    return load4<T, N>(terms.x[first], i, numel, terms.wide >> first & 1);
  } else {
    Pack<T, N> sum = tree<first, size / 2>(terms, i, numel);
    if (first + size / 2 < terms.count) {
      const Pack<T, N> other = tree<first + size / 2, size / 2>(terms, i, numel);
#pragma unroll
      for (int j = 0; j < N; ++j) sum.v[j] = T(C(sum.v[j]) + C(other.v[j]));
    }
    return sum;
  }
}

/// size: a power of two, at least the number of terms.
template <class T, int size>
__global__ void tree_sum_kernel_of(Terms<T> terms, int64_t numel, bool wide, T* y) {
  constexpr int N = width<T>;
  for (int64_t i = thread_in_grid() * N; i < numel; i += threads_in_grid() * N)
    store4(y, i, numel, wide, tree<0, size>(terms, i, numel));
}

template <class T>
void run(const TreeSumArgs& args, Stream stream) {
  constexpr int N = width<T>;
  Terms<T> terms{{}, args.count, 0};
  for (int k = 0; k < args.count; ++k) {
    terms.x[k] = static_cast<const T*>(args.x[k]);
    terms.wide |= uint32_t{holds_packs<T, N>(terms.x[k])} << k;
  }
  T* const y = static_cast<T*>(args.y[0]);
  const auto kernel = args.count <= 2   ? tree_sum_kernel_of<T, 2>
                      : args.count <= 4 ? tree_sum_kernel_of<T, 4>
                      : args.count <= 8 ? tree_sum_kernel_of<T, 8>
                                        : tree_sum_kernel_of<T, tree_sum_most>;
  launch("tree_sum", kernel, grid_for(packs_of(args.numel, N), stream), stream, terms, args.numel, holds_packs<T, N>(y),
         y);
}

void tree_sum(const TreeSumArgs& args, Stream stream) {
  dispatch_all(args.dtype, [&](auto tag) { run<typename decltype(tag)::type>(args, stream); });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(tree_sum_kernel, weft::cuda::tree_sum); }
