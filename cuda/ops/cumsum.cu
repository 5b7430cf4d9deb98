// Running sums. The threads of a row take runs of neighbouring elements, scan the runs' sums, and carry the total on
// from stretch to stretch. Who adds what depends on the extents alone.
#include "weft/tensor/ops/cumsum.h"

#include "weft/cuda/rows.cuh"

namespace weft::cuda {
namespace {

constexpr int run = 4;  // neighbouring elements of one thread

/// The sum of `value` over the threads before this one in its group of `lanes` (as reduce_lanes has them), and over the
/// whole group. All threads of the block call it.
template <class C>
__device__ inline C scan_lanes(C value, int lanes, C& total) {
  constexpr int warps = reduce_threads / warp_size;
  WEFT_SHARED(C, parts, [warps]);
  const int group = lanes < warp_size ? lanes : warp_size;
  const int in_warp = static_cast<int>(threadIdx.x) % warp_size, lane = in_warp % group;
  C sum = value;
  for (int step = 1; step < group; step *= 2) {
    const C other = shuffle(sum, lane >= step ? in_warp - step : in_warp);
    if (lane >= step) sum += other;
  }
  const C previous = shuffle(sum, lane > 0 ? in_warp - 1 : in_warp);
  C before = lane > 0 ? previous : C(0);
  total = shuffle(sum, in_warp - lane + group - 1);
  if (lanes <= warp_size) return before;
  const int warp = static_cast<int>(threadIdx.x) / warp_size;
  if (in_warp == 0) parts[warp] = total;
  barrier();
  total = 0;
  C earlier = 0;
  for (int w = 0; w < warps; ++w) {
    if (w == warp) earlier = total;
    total += parts[w];
  }
  barrier();  // before the next call writes
  return earlier + before;
}

template <class C, class T, class U>
__global__ void cumsum_kernel_of(Rows rows, bool reverse, const T* x, U* y) {
  const int lane = rows.lane();
  rows.for_each([&](int64_t, int64_t base, bool valid) {
    const int64_t n = valid ? rows.n : 0;
    const auto place = [&](int64_t i) { return base + (reverse ? rows.n - 1 - i : i) * rows.inner; };
    C carry = 0;
    for (int64_t first = 0; first < rows.n; first += int64_t{rows.lanes} * run) {
      const int64_t own = first + int64_t{lane} * run;
      C sum[run];
#pragma unroll
      for (int k = 0; k < run; ++k) {
        const C value = own + k < n ? C(Compute<T>(x[place(own + k)])) : C(0);
        sum[k] = k > 0 ? sum[k > 0 ? k - 1 : 0] + value : value;
      }
      C total;
      const C before = carry + scan_lanes(sum[run - 1], rows.lanes, total);
#pragma unroll
      for (int k = 0; k < run; ++k)
        if (own + k < n) y[place(own + k)] = U(Compute<U>(before + sum[k]));
      carry += total;
    }
  });
}

void cumsum(const CumsumArgs& args, Stream stream) {
  dispatch_all(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr bool floating = std::is_floating_point_v<Compute<T>>;
    using C = std::conditional_t<floating, double, int64_t>;
    using U = std::conditional_t<floating, T, int64_t>;
    const Rows rows = rows_of(args.outer, args.n, args.inner, run);
    launch("cumsum", cumsum_kernel_of<C, T, U>, grid_for_rows(rows, stream), stream, rows, args.reverse,
           static_cast<const T*>(args.x), static_cast<U*>(args.y));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(cumsum_kernel, weft::cuda::cumsum); }
