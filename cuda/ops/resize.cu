// Bilinear resize. Positions and weights of an axis are worked out once, into a table; then every thread blends a pack
// of channels. The gradient is gathered by the source pixels in a fixed order.
#include "weft/tensor/ops/resize.h"

#include "weft/cuda/pixels.cuh"
#include "weft/cuda/workspace.h"

namespace weft::cuda {
namespace {

/// What ResizeTap holds, in the type that blends.
template <class C>
struct Tap {
  int64_t low, high;
  C weight;
};

/// Of every output along h, then along w.
template <class C>
__global__ void taps_kernel(ResizeAxis h, ResizeAxis w, Tap<C>* taps) {
  for (int64_t o = thread_in_grid(); o < h.out + w.out; o += threads_in_grid()) {
    const ResizeTap tap = o < h.out ? resize_tap(h, o) : resize_tap(w, o - h.out);
    taps[o] = {tap.low, tap.high, static_cast<C>(tap.weight)};
  }
}

template <int N, class T>
__global__ void resize_kernel_of(Pixels out, Pair in, const Tap<Compute<T>>* taps, const T* x, T* y) {
  using C = Compute<T>;
  for (int64_t i = thread_in_grid(); i < out.numel; i += threads_in_grid()) {
    const auto at = out.place(i);
    const Tap<C> h = taps[at.h], w = taps[out.size.h + at.w];
    const T* image = x + at.image * in.h * in.w * out.channels + at.channel;
    const auto load = [&](int64_t row, int64_t column) {
      return load_as<Pack<T, N>>(image + (row * in.w + column) * out.channels);
    };
    const auto a = load(h.low, w.low), b = load(h.low, w.high), c = load(h.high, w.low), d = load(h.high, w.high);
    Pack<T, N> result;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const C above = (1 - w.weight) * C(a.v[j]) + w.weight * C(b.v[j]);
      const C below = (1 - w.weight) * C(c.v[j]) + w.weight * C(d.v[j]);
      result.v[j] = T((1 - h.weight) * above + h.weight * below);
    }
    store_as(y + i * N, result);
  }
}

/// The weight that an output gives to source pixel i, as resize_weight.
template <class C>
__device__ inline C weight_of(const Tap<C>& tap, int64_t i) {
  return (tap.low == i ? 1 - tap.weight : C(0)) + (tap.high == i ? tap.weight : C(0));
}

template <int N, class T>
__global__ void resize_backward_kernel_of(Pixels in, ResizeAxis h, ResizeAxis w, const Tap<Compute<T>>* taps,
                                          const T* dy, T* dx) {
  using C = Compute<T>;
  for (int64_t i = thread_in_grid(); i < in.numel; i += threads_in_grid()) {
    const auto at = in.place(i);
    const ResizeRange rows = resize_range(h, at.h), columns = resize_range(w, at.w);
    const T* image = dy + at.image * h.out * w.out * in.channels + at.channel;
    C sum[N] = {};
    for (int64_t o = rows.begin; o < rows.end; ++o) {
      const C row_weight = weight_of(taps[o], at.h);
      if (row_weight == C(0)) continue;
      for (int64_t p = columns.begin; p < columns.end; ++p) {
        const C weight = row_weight * weight_of(taps[h.out + p], at.w);
        if (weight == C(0)) continue;
        const auto pack = load_as<Pack<T, N>>(image + (o * w.out + p) * in.channels);
#pragma unroll
        for (int j = 0; j < N; ++j) sum[j] += weight * C(pack.v[j]);
      }
    }
    Pack<T, N> result;
#pragma unroll
    for (int j = 0; j < N; ++j) result.v[j] = T(sum[j]);
    store_as(dx + i * N, result);
  }
}

/// The table of both axes, for the length of a launcher.
template <class C>
class Taps {
 public:
  Taps(const ResizeAxis& h, const ResizeAxis& w, Stream stream)
      : memory_(static_cast<size_t>(h.out + w.out) * sizeof(Tap<C>), stream) {
    launch("resize", taps_kernel<C>, grid_for(h.out + w.out, stream), stream, h, w, data());
  }
  Tap<C>* data() const { return static_cast<Tap<C>*>(memory_.data()); }

 private:
  Workspace memory_;
};

void resize(const ResizeArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Taps<Compute<T>> taps(args.h, args.w, stream);
    with_channel_pack<T>(args.channels, holds_packs<T>(args.x, args.y), [&](auto n) {
      const Pixels out = pixels_of(args.batch, {args.h.out, args.w.out}, args.channels, n);
      launch("resize", resize_kernel_of<n, T>, grid_for(out.numel, stream), stream, out, Pair(args.h.in, args.w.in),
             taps.data(), static_cast<const T*>(args.x), static_cast<T*>(args.y));
    });
  });
}

void resize_backward(const ResizeBackwardArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Taps<Compute<T>> taps(args.h, args.w, stream);
    with_channel_pack<T>(args.channels, holds_packs<T>(args.dy, args.dx), [&](auto n) {
      const Pixels in = pixels_of(args.batch, {args.h.in, args.w.in}, args.channels, n);
      launch("resize_backward", resize_backward_kernel_of<n, T>, grid_for(in.numel, stream), stream, in, args.h, args.w,
             taps.data(), static_cast<const T*>(args.dy), static_cast<T*>(args.dx));
    });
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(resize_kernel, weft::cuda::resize);
  WEFT_PLUG(resize_backward_kernel, weft::cuda::resize_backward);
}
