// Maximum over windows of an image. The gradient is gathered by the pixels, each from the windows that cover it, so
// that nothing is added in an order that varies.
#include "weft/tensor/ops/max_pool2d.h"

#include <limits>

#include "weft/cuda/pixels.cuh"

namespace weft::cuda {
namespace {

template <int N, class T>
__global__ void forward_kernel(MaxPool2dGeometry g, Pixels out, const T* x, T* y, int32_t* index) {
  using C = Compute<T>;
  for (int64_t i = thread_in_grid(); i < out.numel; i += threads_in_grid()) {
    const auto at = out.place(i);
    const int64_t top = at.h * g.stride.h - g.padding.h, left = at.w * g.stride.w - g.padding.w;
    C best[N];
    Pack<int32_t, N> place = splat<int32_t, N>(-1);
#pragma unroll
    for (int j = 0; j < N; ++j) best[j] = -std::numeric_limits<C>::infinity();
    for (int64_t kh = 0; kh < g.kernel.h; ++kh) {
      const int64_t h = top + kh * g.dilation.h;
      if (h < 0 || h >= g.in.h) continue;
      for (int64_t kw = 0; kw < g.kernel.w; ++kw) {
        const int64_t w = left + kw * g.dilation.w;
        if (w < 0 || w >= g.in.w) continue;
        const int64_t pixel = h * g.in.w + w;
        const auto pack = load_as<Pack<T, N>>(x + (at.image * g.in.h * g.in.w + pixel) * g.channels + at.channel);
#pragma unroll
        for (int j = 0; j < N; ++j) {
          const C value = C(pack.v[j]);
          const bool first = place.v[j] < 0, nan = value != value;
          if (first || value > best[j] || (nan && best[j] == best[j])) {
            best[j] = value;
            place.v[j] = static_cast<int32_t>(pixel);
          }
        }
      }
    }
    Pack<T, N> result;
#pragma unroll
    for (int j = 0; j < N; ++j) result.v[j] = T(best[j]);
    store_as(y + i * N, result);
    store_as(index + i * N, place);
  }
}

/// Windows that hold pixel p along one axis, in ascending order: those with p + padding - o stride = k dilation.
struct Covering {
  int64_t first, last;

  __device__ Covering(int64_t p, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, int64_t out) {
    const int64_t reach = p + padding - (kernel - 1) * dilation;
    first = reach <= 0 ? 0 : (reach + stride - 1) / stride;
    last = smaller((p + padding) / stride, out - 1);
  }
};

template <int N, class T>
__global__ void backward_kernel(MaxPool2dGeometry g, Pixels in, const T* dy, const int32_t* index, T* dx) {
  using C = Compute<T>;
  for (int64_t i = thread_in_grid(); i < in.numel; i += threads_in_grid()) {
    const auto at = in.place(i);
    const Covering rows(at.h, g.kernel.h, g.stride.h, g.padding.h, g.dilation.h, g.out.h);
    const Covering columns(at.w, g.kernel.w, g.stride.w, g.padding.w, g.dilation.w, g.out.w);
    const auto pixel = static_cast<int32_t>(at.h * g.in.w + at.w);
    C sum[N] = {};
    for (int64_t h = rows.first; h <= rows.last; ++h)
      for (int64_t w = columns.first; w <= columns.last; ++w) {
        // With a dilation some windows in reach step over the pixel: then no index names it.
        const int64_t o = ((at.image * g.out.h + h) * g.out.w + w) * g.channels + at.channel;
        const auto places = load_as<Pack<int32_t, N>>(index + o);
        const auto slopes = load_as<Pack<T, N>>(dy + o);
#pragma unroll
        for (int j = 0; j < N; ++j)
          if (places.v[j] == pixel) sum[j] += C(slopes.v[j]);
      }
    store_sums<N>(dx + i * N, sum);
  }
}

template <int N, class T>
__global__ void gather_kernel(MaxPool2dGeometry g, Pixels out, const T* x, const int32_t* index, T* y) {
  for (int64_t i = thread_in_grid(); i < out.numel; i += threads_in_grid()) {
    const auto at = out.place(i);
    const auto places = load_as<Pack<int32_t, N>>(index + i * N);
    Pack<T, N> result;
#pragma unroll
    for (int j = 0; j < N; ++j)
      result.v[j] =
          places.v[j] < 0 ? T(0.0f) : x[(at.image * g.in.h * g.in.w + places.v[j]) * g.channels + at.channel + j];
    store_as(y + i * N, result);
  }
}

void forward(const MaxPool2dArgs& args, Stream stream) {
  const MaxPool2dGeometry& g = args.geometry;
  dispatch_floating(g.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    with_pack<T>(g.channels, holds_packs<T>(args.x, args.y) && holds_packs<int32_t, pack_size<T>>(args.index),
                 [&](auto n) {
                   const Pixels out = pixels_of(g.batch, g.out, g.channels, n);
                   launch("max_pool2d", forward_kernel<n, T>, grid_for(out.numel, stream), stream, g, out,
                          static_cast<const T*>(args.x), static_cast<T*>(args.y), args.index);
                 });
  });
}

void backward(const MaxPool2dBackwardArgs& args, Stream stream) {
  const MaxPool2dGeometry& g = args.geometry;
  dispatch_floating(g.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    with_pack<T>(g.channels, holds_packs<T>(args.dy, args.dx) && holds_packs<int32_t, pack_size<T>>(args.index),
                 [&](auto n) {
                   const Pixels in = pixels_of(g.batch, g.in, g.channels, n);
                   launch("max_pool2d_backward", backward_kernel<n, T>, grid_for(in.numel, stream), stream, g, in,
                          static_cast<const T*>(args.dy), args.index, static_cast<T*>(args.dx));
                 });
  });
}

void gather(const MaxPool2dGatherArgs& args, Stream stream) {
  const MaxPool2dGeometry& g = args.geometry;
  dispatch_floating(g.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    with_pack<T>(g.channels, holds_packs<T>(args.y) && holds_packs<int32_t, pack_size<T>>(args.index), [&](auto n) {
      const Pixels out = pixels_of(g.batch, g.out, g.channels, n);
      launch("max_pool2d_gather", gather_kernel<n, T>, grid_for(out.numel, stream), stream, g, out,
             static_cast<const T*>(args.x), args.index, static_cast<T*>(args.y));
    });
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(max_pool2d_kernel, weft::cuda::forward);
  WEFT_PLUG(max_pool2d_backward_kernel, weft::cuda::backward);
  WEFT_PLUG(max_pool2d_gather_kernel, weft::cuda::gather);
}
