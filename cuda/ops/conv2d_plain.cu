#include "weft/cuda/ops/conv2d_plain.h"

#include "weft/cuda/channel_elements.cuh"
#include "weft/tensor/dtype.h"

namespace weft::cuda {
namespace {

constexpr int filter_threads = 128;

template <class T>
__device__ inline T narrowed(double sum) {
  return T(static_cast<Compute<T>>(sum));
}

// A thread for each element of y.
template <class T>
__global__ void conv2d_forward_kernel(Conv2dArgs a, const T* x, const T* w, const T* bias, T* y) {
  const int64_t in = a.c / a.groups, out = a.o / a.groups;
  for (int64_t t = thread_in_grid(); t < a.n * a.oh * a.ow * a.o; t += threads_in_grid()) {
    const int64_t o = t % a.o, j = t / a.o % a.ow, i = t / (a.o * a.ow) % a.oh, n = t / (a.o * a.ow * a.oh);
    double sum = bias ? static_cast<double>(bias[o]) : 0.0;
    for (int64_t p = 0; p < a.kh; ++p) {
      const int64_t h = i * a.stride_h + p * a.dilation_h - a.top;
      if (h < 0 || h >= a.h) continue;
      for (int64_t q = 0; q < a.kw; ++q) {
        const int64_t v = j * a.stride_w + q * a.dilation_w - a.left;
        if (v < 0 || v >= a.w) continue;
        const T* pixel = x + ((n * a.h + h) * a.w + v) * a.c + o / out * in;
        const T* tap = w + ((o * a.kh + p) * a.kw + q) * in;
        for (int64_t c = 0; c < in; ++c) sum += static_cast<double>(pixel[c]) * static_cast<double>(tap[c]);
      }
    }
    y[t] = narrowed<T>(a.relu && sum <= 0 ? 0 : sum);
  }
}

// A thread for each element of x: the outputs that read it.
template <class T>
__global__ void conv2d_data_kernel(Conv2dArgs a, T* x, const T* w, const T* y) {
  const int64_t in = a.c / a.groups, out = a.o / a.groups;
  for (int64_t t = thread_in_grid(); t < a.n * a.h * a.w * a.c; t += threads_in_grid()) {
    const int64_t c = t % a.c, v = t / a.c % a.w, h = t / (a.c * a.w) % a.h, n = t / (a.c * a.w * a.h);
    const int64_t first = c / in * out;  // of the group's outputs
    double sum = 0;
    for (int64_t p = 0; p < a.kh; ++p) {
      const int64_t down = h + a.top - p * a.dilation_h, i = down / a.stride_h;
      if (down < 0 || down % a.stride_h != 0 || i >= a.oh) continue;
      for (int64_t q = 0; q < a.kw; ++q) {
        const int64_t right = v + a.left - q * a.dilation_w, j = right / a.stride_w;
        if (right < 0 || right % a.stride_w != 0 || j >= a.ow) continue;
        const T* pixel = y + ((n * a.oh + i) * a.ow + j) * a.o + first;
        const T* tap = w + ((first * a.kh + p) * a.kw + q) * in + c % in;
        for (int64_t o = 0; o < out; ++o)
          sum += static_cast<double>(pixel[o]) * static_cast<double>(tap[o * a.kh * a.kw * in]);
      }
    }
    x[t] = narrowed<T>(sum);
  }
}

// A block for each element of w; its threads share the positions of y.
template <class T>
__global__ void conv2d_filter_kernel(Conv2dArgs a, const T* x, T* w, const T* y) {
  WEFT_SHARED(double, part, [filter_threads]);
  const int64_t in = a.c / a.groups, out = a.o / a.groups;
  for (int64_t t = blockIdx.x; t < a.o * a.kh * a.kw * in; t += gridDim.x) {
    const int64_t c = t % in, q = t / in % a.kw, p = t / (in * a.kw) % a.kh, o = t / (in * a.kw * a.kh);
    double sum = 0;
    for (int64_t s = threadIdx.x; s < a.n * a.oh * a.ow; s += filter_threads) {
      const int64_t j = s % a.ow, i = s / a.ow % a.oh, n = s / (a.ow * a.oh);
      const int64_t h = i * a.stride_h + p * a.dilation_h - a.top, v = j * a.stride_w + q * a.dilation_w - a.left;
      if (h < 0 || h >= a.h || v < 0 || v >= a.w) continue;
      sum += static_cast<double>(x[((n * a.h + h) * a.w + v) * a.c + o / out * in + c]) *
             static_cast<double>(y[s * a.o + o]);
    }
    part[threadIdx.x] = sum;
    barrier();
    for (unsigned half = filter_threads / 2; half > 0; half /= 2) {
      if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
      barrier();
    }
    if (threadIdx.x == 0) w[t] = narrowed<T>(part[0]);
    barrier();  // before part is written again
  }
}

template <int N, class T>
__global__ void conv2d_bias_kernel(ChannelElements elements, bool relu, const T* bias, T* y) {
  using C = Compute<T>;
  const ChannelPacks<N> packs(elements);
  const auto shift = packs.values(bias);
  packs.for_each([&](auto whole, int64_t i) { return packs.load(whole, y, i); },
                 [&](auto whole, int64_t i, Pack<T, N> pack) {
#pragma unroll
                   for (int j = 0; j < N; ++j) {
                     const C z = C(pack.v[j]) + C(shift.v[j]);
                     pack.v[j] = T(relu && z <= C(0) ? C(0) : z);
                   }
                   packs.store(whole, y, i, pack);
                 });
}

template <class T>
void plain(const Conv2dArgs& a, Stream stream) {
  T* const x = static_cast<T*>(a.x_data);
  T* const w = static_cast<T*>(a.w_data);
  T* const y = static_cast<T*>(a.y_data);
  if (a.pass == ConvPass::forward) {
    launch("conv2d", conv2d_forward_kernel<T>, grid_for(a.n * a.oh * a.ow * a.o, stream), stream, a, x, w,
           static_cast<const T*>(a.bias), y);
  } else if (a.pass == ConvPass::data) {
    launch("conv2d", conv2d_data_kernel<T>, grid_for(a.n * a.h * a.w * a.c, stream), stream, a, x, w, y);
  } else {
    const int64_t weights = a.o * a.kh * a.kw * (a.c / a.groups);
    launch("conv2d", conv2d_filter_kernel<T>, grid_for(weights * filter_threads, stream, filter_threads), stream, a, x,
           w, y);
  }
}

template <class T>
void add_bias(const Conv2dArgs& a, Stream stream) {
  const auto* bias = static_cast<const T*>(a.bias);
  T* const y = static_cast<T*>(a.y_data);
  const auto start = [&](auto n) {
    const auto elements = elements_of<n>(a.n * a.oh * a.ow, a.o, stream, bias);
    launch("conv2d", conv2d_bias_kernel<n, T>, elements.grid, stream, elements, a.relu, bias, y);
  };
  with_channel_packs<T>(start, y);
}

}  // namespace

void conv2d_plain(const Conv2dArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) { plain<typename decltype(tag)::type>(args, stream); });
}

void conv2d_bias(const Conv2dArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) { add_bias<typename decltype(tag)::type>(args, stream); });
}

}  // namespace weft::cuda

WEFT_PLUGS() {}  // conv2d.cpp calls what is here
