// Maxima with their positions, and what the gradient of a maximum moves. (Sums: reduce.cu.)
#include "weft/tensor/ops/reduce.h"

#include <limits>

#include "weft/cuda/reduce_strided.cuh"
#include "weft/cuda/word.h"

namespace weft::cuda {
namespace {

/// V: the type values are compared in. NaN wins, then the larger, then the earlier: no two elements are equal in rank,
/// so the order of merging does not matter.
template <class V, class T>
struct FirstLargest {
  struct Acc {
    V value;
    int64_t index;
  };
  __device__ static Acc none() { return {lowest(), std::numeric_limits<int64_t>::max()}; }
  __device__ static Acc merge(const Acc& a, const Acc& b) { return wins(b, a) ? b : a; }
  __device__ static Acc exchange(const Acc& a, int mask) {
    return {shuffle_xor(a.value, mask), shuffle_xor(a.index, mask)};
  }
  __device__ static Acc take(const Acc& acc, T x, int64_t r) { return merge(acc, {V(x), r}); }

 private:
  __device__ static V lowest() {
    if constexpr (std::is_floating_point_v<V>)
      return -std::numeric_limits<V>::infinity();
    else
      return std::numeric_limits<V>::min();
  }
  __device__ static bool wins(const Acc& a, const Acc& b) {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan != b_nan) return a_nan;
    if (a_nan || a.value == b.value) return a.index < b.index;
    return a.value > b.value;
  }
};

template <class T>
struct StoreMax {
  T* values;
  int64_t* index;
  template <class Acc>
  __device__ void operator()(int64_t k, const Acc& acc) const {
    if (values) values[k] = T(acc.value);
    if (index) index[k] = acc.index;
  }
};

void max(const MaxArgs& args, Stream stream) {
  const DType dtype = args.dtype == DType::boolean ? DType::u8 : args.dtype;  // false and true are the bytes 0 and 1
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, bool>) {
      using V = std::conditional_t<std::is_same_v<T, uint8_t>, int32_t, Compute<T>>;
      using R = FirstLargest<V, T>;
      const StoreMax<T> store{static_cast<T*>(args.values), args.index};
      launch_reduction<R, R, T>("max", args.geometry, args.x, store, stream);
    }
  });
}

template <class U>
__global__ void max_backward_kernel_of(Walk<4> walk, const U* dy, const int64_t* index, U* dx) {
  for_walked<1>(
      walk, [&](auto, const auto& offsets) { return offsets.at[3] == index[offsets.at[2]] ? dy[offsets.at[1]] : U(0); },
      [&](auto, const auto& offsets, U value) { dx[offsets.at[0]] = value; });
}

void max_backward(const MaxBackwardArgs& args, Stream stream) {
  dispatch_word(size_of(args.dtype), [&](auto tag) {
    using U = typename decltype(tag)::type;
    Walk<4> walk = walk_of<4>(args.geometry, {{args.dx, 1}, {args.dy, 1}, {args.index, 1}, {nullptr, 1}}, 1);
    walk.packed = false;
    launch("max_backward", max_backward_kernel_of<U>, grid_for_walk(walk, 1, stream), stream, walk,
           static_cast<const U*>(args.dy), args.index, static_cast<U*>(args.dx));
  });
}

template <class U>
__global__ void max_gather_kernel_of(Walk<1> kept, Walk<1> reduced, const U* x, const int64_t* index, U* y) {
  for (int64_t k = thread_in_grid(); k < kept.numel; k += threads_in_grid())
    y[k] = x[kept.offsets(k).at[0] + reduced.offsets(index[k]).at[0]];
}

void max_gather(const MaxGatherArgs& args, Stream stream) {
  const Reduction& g = args.geometry;
  dispatch_word(size_of(args.dtype), [&](auto tag) {
    using U = typename decltype(tag)::type;
    const Walk<1> kept = walk_of_extents(g.kept_rank, g.kept_extent, g.kept_stride, g.kept, {args.x, 1}, 1);
    const Walk<1> reduced =
        walk_of_extents(g.reduced_rank, g.reduced_extent, g.reduced_stride, g.reduced, {args.x, 1}, 1);
    launch("max_gather", max_gather_kernel_of<U>, grid_for(g.kept, stream), stream, kept, reduced,
           static_cast<const U*>(args.x), args.index, static_cast<U*>(args.y));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(max_kernel, weft::cuda::max);
  WEFT_PLUG(max_backward_kernel, weft::cuda::max_backward);
  WEFT_PLUG(max_gather_kernel, weft::cuda::max_gather);
}
