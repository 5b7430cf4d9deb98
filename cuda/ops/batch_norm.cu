// Batch norm of channels-last data: what is done to every element. (Statistics and sums: batch_norm_sums.cu.)
#include "weft/tensor/ops/batch_norm.h"

#include "weft/cuda/channel_elements.cuh"
#include "weft/tensor/math.h"

namespace weft::cuda {
namespace {

template <class C>
__global__ void finish_kernel(BatchNormFinishArgs args) {
  const auto* mean = static_cast<const C*>(args.mean);
  const auto* var = static_cast<const C*>(args.var);
  auto* running_mean = static_cast<C*>(args.running_mean);
  auto* running_var = static_cast<C*>(args.running_var);
  for (int64_t c = thread_in_grid(); c < args.channels; c += threads_in_grid()) {
    const double variance = static_cast<double>(var[c]);
    if (args.inverse_std) static_cast<C*>(args.inverse_std)[c] = C(1 / math::sqrt(variance + args.eps));
    if (!running_mean) continue;
    const double unbiased = variance * args.count / (args.count - 1);
    running_mean[c] = C(running_mean[c] + args.momentum * (static_cast<double>(mean[c]) - running_mean[c]));
    running_var[c] = C(running_var[c] + args.momentum * (unbiased - running_var[c]));
  }
}

template <class T>
__global__ void normalize_kernel(ChannelElements elements, bool relu, const T* x, const Compute<T>* mean,
                                 const Compute<T>* inverse_std, const Compute<T>* gamma, const Compute<T>* beta, T* y) {
  using C = Compute<T>;
  constexpr int N = pack_size<T>;
  for (int64_t i = thread_in_grid() * N; i < elements.numel; i += threads_in_grid() * N) {
    int64_t channel[N];
    elements.channels_of(i, channel);
    Pack<T> pack = load4(x, i, elements.numel, elements.wide);
    const auto center = channel_values<N>(mean, channel, elements.even);
    const auto scale = channel_values<N>(inverse_std, channel, elements.even);
    const auto slope = channel_values<N>(gamma, channel, elements.even);
    const auto shift = channel_values<N>(beta, channel, elements.even);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const C z = (C(pack.v[j]) - center.v[j]) * scale.v[j] * slope.v[j] + shift.v[j];
      pack.v[j] = T(relu && z <= C(0) ? C(0) : z);
    }
    store4(y, i, elements.numel, elements.wide, pack);
  }
}

template <class T>
__global__ void backward_kernel(ChannelElements elements, Compute<T> count, const T* x, const T* dy, const T* y,
                                const Compute<T>* mean, const Compute<T>* inverse_std, const Compute<T>* gamma,
                                const Compute<T>* sum_dz, const Compute<T>* sum_dz_xh, T* dx) {
  using C = Compute<T>;
  constexpr int N = pack_size<T>;
  for (int64_t i = thread_in_grid() * N; i < elements.numel; i += threads_in_grid() * N) {
    int64_t channel[N];
    elements.channels_of(i, channel);
    const Pack<T> slope = load4(dy, i, elements.numel, elements.wide);
    const auto scale = channel_values<N>(inverse_std, channel, elements.even);
    const auto weight = channel_values<N>(gamma, channel, elements.even);
    C dz[N];
#pragma unroll
    for (int j = 0; j < N; ++j) dz[j] = C(slope.v[j]);
    if (y) {
      const Pack<T> output = load4(y, i, elements.numel, elements.wide);
#pragma unroll
      for (int j = 0; j < N; ++j) dz[j] = C(output.v[j]) > C(0) ? dz[j] : C(0);
    }
    if (sum_dz) {
      const Pack<T> input = load4(x, i, elements.numel, elements.wide);
      const auto center = channel_values<N>(mean, channel, elements.even);
      const auto first = channel_values<N>(sum_dz, channel, elements.even);
      const auto second = channel_values<N>(sum_dz_xh, channel, elements.even);
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const C xh = (C(input.v[j]) - center.v[j]) * scale.v[j];
        dz[j] -= (first.v[j] + xh * second.v[j]) / count;
      }
    }
    Pack<T> result;
#pragma unroll
    for (int j = 0; j < N; ++j) result.v[j] = T(weight.v[j] * scale.v[j] * dz[j]);
    store4(dx, i, elements.numel, elements.wide, result);
  }
}

void finish(const BatchNormFinishArgs& args, Stream stream) {
  const Grid grid = grid_for(args.channels, stream);
  if (args.dtype == DType::f64)
    launch("batch_norm_finish", finish_kernel<double>, grid, stream, args);
  else
    launch("batch_norm_finish", finish_kernel<float>, grid, stream, args);
}

void normalize(const BatchNormArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    constexpr int N = pack_size<T>;
    const auto* mean = static_cast<const C*>(args.mean);
    const auto* inverse_std = static_cast<const C*>(args.inverse_std);
    const auto* gamma = static_cast<const C*>(args.gamma);
    const auto* beta = static_cast<const C*>(args.beta);
    const ChannelElements elements =
        elements_of<T>(args.rows, args.channels, holds_packs<T, N>(args.x, args.y), mean, inverse_std, gamma, beta);
    launch("batch_norm", normalize_kernel<T>, grid_for(packs_of(elements.numel, N), stream), stream, elements,
           args.relu, static_cast<const T*>(args.x), mean, inverse_std, gamma, beta, static_cast<T*>(args.y));
  });
}

void backward(const BatchNormBackwardArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    constexpr int N = pack_size<T>;
    const auto* mean = static_cast<const C*>(args.mean);
    const auto* inverse_std = static_cast<const C*>(args.inverse_std);
    const auto* gamma = static_cast<const C*>(args.gamma);
    const auto* sum_dz = static_cast<const C*>(args.sum_dz);
    const auto* sum_dz_xh = static_cast<const C*>(args.sum_dz_xh);
    const ChannelElements elements =
        elements_of<T>(args.rows, args.channels, holds_packs<T, N>(args.x, args.dy, args.y, args.dx), mean, inverse_std,
                       gamma, sum_dz, sum_dz_xh);
    launch("batch_norm_backward", backward_kernel<T>, grid_for(packs_of(elements.numel, N), stream), stream, elements,
           static_cast<C>(args.count), static_cast<const T*>(args.x), static_cast<const T*>(args.dy),
           static_cast<const T*>(args.y), mean, inverse_std, gamma, sum_dz, sum_dz_xh, static_cast<T*>(args.dx));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(batch_norm_finish_kernel, weft::cuda::finish);
  WEFT_PLUG(batch_norm_kernel, weft::cuda::normalize);
  WEFT_PLUG(batch_norm_backward_kernel, weft::cuda::backward);
}
