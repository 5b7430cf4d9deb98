// Means over windows of an image: a thread per output and pack of channels. The gradient is gathered by the pixels,
// each from the windows that cover it, so that nothing is added in an order that varies.
#include "weft/tensor/ops/avg_pool2d.h"

#include "weft/cuda/pixels.cuh"

namespace weft::cuda {
namespace {

/// Few outputs of large windows need every thread they can get: then a thread takes one channel, not a pack.
bool packs_suit(const AvgPool2dArgs& a) {
  constexpr int64_t large = 64, few = 1 << 18;
  const int64_t pixels = a.h.in * a.w.in, windows = a.h.out * a.w.out;
  return pixels < large * windows || a.batch * windows * a.channels >= few;
}

template <int N, class T>
__global__ void forward_kernel(Pixels out, PoolAxis h, PoolAxis w, const T* x, T* y) {
  using C = Compute<T>;
  for (int64_t i = thread_in_grid(); i < out.numel; i += threads_in_grid()) {
    const auto at = out.place(i);
    const PoolWindow rows = pool_window(h, at.h), columns = pool_window(w, at.w);
    const T* image = x + at.image * h.in * w.in * out.channels + at.channel;
    C sum[N] = {};
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      C line[N] = {};
      for (int64_t column = columns.begin; column < columns.end; ++column) {
        const auto pack = load_as<Pack<T, N>>(image + (row * w.in + column) * out.channels);
#pragma unroll
        for (int j = 0; j < N; ++j) line[j] += C(pack.v[j]);
      }
#pragma unroll
      for (int j = 0; j < N; ++j) sum[j] += line[j];
    }
    const C count = static_cast<C>(rows.count * columns.count);
    Pack<T, N> result;
#pragma unroll
    for (int j = 0; j < N; ++j) result.v[j] = T(sum[j] / count);
    store_as(y + i * N, result);
  }
}

template <int N, class T>
__global__ void backward_kernel(Pixels in, PoolAxis h, PoolAxis w, const T* dy, T* dx) {
  using C = Compute<T>;
  for (int64_t i = thread_in_grid(); i < in.numel; i += threads_in_grid()) {
    const auto at = in.place(i);
    const PoolCover rows = pool_cover(h, at.h), columns = pool_cover(w, at.w);
    const T* image = dy + at.image * h.out * w.out * in.channels + at.channel;
    C sum[N] = {};
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const int64_t height = pool_window(h, row).count;
      for (int64_t column = columns.begin; column < columns.end; ++column) {
        const C share = C(1) / static_cast<C>(height * pool_window(w, column).count);
        const auto pack = load_as<Pack<T, N>>(image + (row * w.out + column) * in.channels);
#pragma unroll
        for (int j = 0; j < N; ++j) sum[j] += share * C(pack.v[j]);
      }
    }
    store_sums<N>(dx + i * N, sum);
  }
}

void forward(const AvgPool2dArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    with_pack<T>(args.channels, packs_suit(args) && holds_packs<T>(args.x, args.y), [&](auto n) {
      const Pixels out = pixels_of(args.batch, {args.h.out, args.w.out}, args.channels, n);
      launch("avg_pool2d", forward_kernel<n, T>, grid_for(out.numel, stream), stream, out, args.h, args.w,
             static_cast<const T*>(args.x), static_cast<T*>(args.y));
    });
  });
}

void backward(const AvgPool2dBackwardArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch_gather<T>("avg_pool2d_backward", args, stream, [](auto n) { return backward_kernel<n, T>; });
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(avg_pool2d_kernel, weft::cuda::forward);
  WEFT_PLUG(avg_pool2d_backward_kernel, weft::cuda::backward);
}
