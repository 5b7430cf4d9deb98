// Nearest resize: packs of channels moved as bytes. The gradient is gathered by the source pixels in a fixed order.
#include "weft/tensor/ops/resize_nearest.h"

#include "weft/cuda/pixels.cuh"
#include "weft/cuda/word.h"

namespace weft::cuda {
namespace {

template <int N, class U>
__global__ void forward_kernel(Pixels out, NearestAxis h, NearestAxis w, const U* x, U* y) {
  for (int64_t i = thread_in_grid(); i < out.numel; i += threads_in_grid()) {
    const auto at = out.place(i);
    const int64_t row = at.image * h.in + nearest_source(h, at.h), pixel = row * w.in + nearest_source(w, at.w);
    store_as(y + i * N, load_as<Pack<U, N>>(x + pixel * out.channels + at.channel));
  }
}

template <int N, class T>
__global__ void backward_kernel(Pixels in, NearestAxis h, NearestAxis w, const T* dy, T* dx) {
  using C = Compute<T>;
  for (int64_t i = thread_in_grid(); i < in.numel; i += threads_in_grid()) {
    const auto at = in.place(i);
    const NearestRange rows = nearest_range(h, at.h), columns = nearest_range(w, at.w);
    const T* image = dy + at.image * h.out * w.out * in.channels + at.channel;
    C sum[N] = {};
    for (int64_t o = rows.begin; o < rows.end; ++o)
      for (int64_t p = columns.begin; p < columns.end; ++p) {
        const auto pack = load_as<Pack<T, N>>(image + (o * w.out + p) * in.channels);
#pragma unroll
        for (int j = 0; j < N; ++j) sum[j] += C(pack.v[j]);
      }
    store_sums<N>(dx + i * N, sum);
  }
}

void forward(const ResizeNearestArgs& args, Stream stream) {
  dispatch_word(args.element_size, [&](auto tag) {
    using U = typename decltype(tag)::type;
    with_pack<U>(args.channels, holds_packs<U>(args.x, args.y), [&](auto n) {
      const Pixels out = pixels_of(args.batch, {args.h.out, args.w.out}, args.channels, n);
      launch("resize", forward_kernel<n, U>, grid_for(out.numel, stream), stream, out, args.h, args.w,
             static_cast<const U*>(args.x), static_cast<U*>(args.y));
    });
  });
}

void backward(const ResizeNearestBackwardArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch_gather<T>("resize_backward", args, stream, [](auto n) { return backward_kernel<n, T>; });
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(resize_nearest_kernel, weft::cuda::forward);
  WEFT_PLUG(resize_nearest_backward_kernel, weft::cuda::backward);
}
