// Batch norm with a residual and ReLU, of channels-last data: what is done to every element.
#include "weft/tensor/ops/batch_norm_add.h"

#include "weft/cuda/channel_elements.cuh"

namespace weft::cuda {
namespace {

template <class T>
__global__ void forward_kernel(ChannelElements elements, bool relu, const T* x, const T* residual,
                               const Compute<T>* mean, const Compute<T>* inverse_std, const Compute<T>* gamma,
                               const Compute<T>* beta, T* y) {
  using C = Compute<T>;
  constexpr int N = pack_size<T>;
  for (int64_t i = thread_in_grid() * N; i < elements.numel; i += threads_in_grid() * N) {
    int64_t channel[N];
    elements.channels_of(i, channel);
    Pack<T> pack = load4(x, i, elements.numel, elements.wide);
    const Pack<T> other = load4(residual, i, elements.numel, elements.wide);
    const auto center = channel_values<N>(mean, channel, elements.even);
    const auto scale = channel_values<N>(inverse_std, channel, elements.even);
    const auto slope = channel_values<N>(gamma, channel, elements.even);
    const auto shift = channel_values<N>(beta, channel, elements.even);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const C z = (C(pack.v[j]) - center.v[j]) * scale.v[j] * slope.v[j] + shift.v[j] + C(other.v[j]);
      pack.v[j] = T(relu && z <= C(0) ? C(0) : z);
    }
    store4(y, i, elements.numel, elements.wide, pack);
  }
}

template <class T>
__global__ void backward_kernel(int64_t numel, bool wide, const T* dy, const T* y, T* dz) {
  using C = Compute<T>;
  constexpr int N = pack_size<T>;
  for (int64_t i = thread_in_grid() * N; i < numel; i += threads_in_grid() * N) {
    Pack<T> pack = load4(dy, i, numel, wide);
    const Pack<T> output = load4(y, i, numel, wide);
#pragma unroll
    for (int j = 0; j < N; ++j) pack.v[j] = C(output.v[j]) > C(0) ? pack.v[j] : T(C(0));
    store4(dz, i, numel, wide, pack);
  }
}

void forward(const BatchNormAddArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    constexpr int N = pack_size<T>;
    const auto* mean = static_cast<const C*>(args.mean);
    const auto* inverse_std = static_cast<const C*>(args.inverse_std);
    const auto* gamma = static_cast<const C*>(args.gamma);
    const auto* beta = static_cast<const C*>(args.beta);
    const ChannelElements elements = elements_of<T>(
        args.rows, args.channels, holds_packs<T, N>(args.x, args.residual, args.y), mean, inverse_std, gamma, beta);
    launch("batch_norm_add", forward_kernel<T>, grid_for(packs_of(elements.numel, N), stream), stream, elements,
           args.relu, static_cast<const T*>(args.x), static_cast<const T*>(args.residual), mean, inverse_std, gamma,
           beta, static_cast<T*>(args.y));
  });
}

void backward(const BatchNormAddBackwardArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int N = pack_size<T>;
    launch("batch_norm_add_backward", backward_kernel<T>, grid_for(packs_of(args.numel, N), stream), stream, args.numel,
           holds_packs<T, N>(args.dy, args.y, args.dz), static_cast<const T*>(args.dy), static_cast<const T*>(args.y),
           static_cast<T*>(args.dz));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(batch_norm_add_kernel, weft::cuda::forward);
  WEFT_PLUG(batch_norm_add_backward_kernel, weft::cuda::backward);
}
