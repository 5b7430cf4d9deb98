// Padding: packs of channels moved as bytes. The gradient is gathered by the source pixels in a fixed order.
#include "weft/tensor/ops/pad.h"

#include "weft/cuda/pixels.cuh"
#include "weft/cuda/word.h"

namespace weft::cuda {
namespace {

template <int N, class U>
__global__ void forward_kernel(Pixels out, PadAxis h, PadAxis w, const U* x, U fill, const U* fills, U* y) {
  for (int64_t i = thread_in_grid(); i < out.numel; i += threads_in_grid()) {
    const auto at = out.place(i);
    const int64_t row = pad_source(h, at.h), column = pad_source(w, at.w);
    Pack<U, N> pack;
    if (row >= 0 && column >= 0)
      pack = load_as<Pack<U, N>>(x + ((at.image * h.in + row) * w.in + column) * out.channels + at.channel);
    else if (fills)
      pack = load_as<Pack<U, N>>(fills + at.channel);
    else
      pack = splat<U, N>(fill);
    store_as(y + i * N, pack);
  }
}

template <int N, class T>
__global__ void backward_kernel(Pixels in, PadAxis h, PadAxis w, const T* dy, T* dx) {
  using C = Compute<T>;
  for (int64_t i = thread_in_grid(); i < in.numel; i += threads_in_grid()) {
    const auto at = in.place(i);
    const PadOutputs rows = pad_outputs(h, at.h), columns = pad_outputs(w, at.w);
    const T* image = dy + at.image * h.out * w.out * in.channels + at.channel;
    C sum[N] = {};
    for (const auto& down : rows.part)
      for (int64_t o = down.begin; o < down.end; ++o)
        for (const auto& across : columns.part)
          for (int64_t p = across.begin; p < across.end; ++p) {
            const auto pack = load_as<Pack<T, N>>(image + (o * w.out + p) * in.channels);
#pragma unroll
            for (int j = 0; j < N; ++j) sum[j] += C(pack.v[j]);
          }
    store_sums<N>(dx + i * N, sum);
  }
}

void forward(const PadArgs& args, Stream stream) {
  dispatch_word(args.element_size, [&](auto tag) {
    using U = typename decltype(tag)::type;
    with_pack<U>(args.channels, holds_packs<U>(args.x, args.fills, args.y), [&](auto n) {
      const Pixels out = pixels_of(args.batch, {args.h.out, args.w.out}, args.channels, n);
      launch("pad", forward_kernel<n, U>, grid_for(out.numel, stream), stream, out, args.h, args.w,
             static_cast<const U*>(args.x), static_cast<U>(args.fill), static_cast<const U*>(args.fills),
             static_cast<U*>(args.y));
    });
  });
}

void backward(const PadBackwardArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch_gather<T>("pad_backward", args, stream, [](auto n) { return backward_kernel<n, T>; });
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(pad_kernel, weft::cuda::forward);
  WEFT_PLUG(pad_backward_kernel, weft::cuda::backward);
}
