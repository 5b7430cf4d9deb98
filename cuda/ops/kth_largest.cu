// The k-th largest value of each row: a block per row counts, four bits of the keys at a time.
#include "weft/tensor/ops/kth_largest.h"

#include "weft/cuda/launch.cuh"
#include "weft/cuda/reduce.cuh"

namespace weft::cuda {
namespace {

constexpr int digits = 16;

template <class T>
__global__ void select_kernel(int64_t rows, int64_t n, int64_t k, const T* x, T* y) {
  using C = Compute<T>;
  using Key = decltype(order_key(C()));
  constexpr int bits = 8 * static_cast<int>(sizeof(Key));
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* values = x + row * n;
    Key found = 0, known = 0;  // the digits so far, and which bits they are
    int64_t rank = k;
    for (int shift = bits - 4; shift >= 0; shift -= 4) {
      int32_t count[digits] = {};
      for (int64_t i = threadIdx.x; i < n; i += reduce_threads) {
        const Key key = order_key(C(values[i]));
        const int digit = static_cast<int>(key >> shift & Key{15});
        const bool counts = (key & known) == found;
#pragma unroll
        for (int d = 0; d < digits; ++d) count[d] += counts && digit == d ? 1 : 0;
      }
      bool chosen = false;
#pragma unroll
      for (int d = digits - 1; d >= 0; --d) {
        const int32_t total = reduce_lanes<Sum<int32_t>>(count[d], reduce_threads);
        if (chosen) continue;
        chosen = rank <= total;
        if (chosen)
          found |= static_cast<Key>(d) << shift;
        else
          rank -= total;
      }
      known |= Key{15} << shift;
    }
    if (threadIdx.x == 0) y[row] = T(value_of_key(found));
  }
}

void kth_largest(const KthLargestArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch("kth_largest", select_kernel<T>, grid_for(args.rows * reduce_threads, stream, reduce_threads), stream,
           args.rows, args.n, args.k, static_cast<const T*>(args.x), static_cast<T*>(args.y));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(kth_largest_kernel, weft::cuda::kth_largest); }
