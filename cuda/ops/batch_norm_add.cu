// Batch norm with a residual and ReLU, of channels-last data: what is done to every element.
#include "weft/tensor/ops/batch_norm_add.h"

#include "weft/cuda/channel_elements.cuh"

namespace weft::cuda {
namespace {

template <int N, class T>
__global__ void forward_kernel(ChannelElements elements, bool relu, const T* x, const T* residual,
                               const Compute<T>* mean, const Compute<T>* inverse_std, const Compute<T>* gamma,
                               const Compute<T>* beta, T* y) {
  using C = Compute<T>;
  const ChannelPacks<N> packs(elements);
  const auto center = packs.values(mean), scale = packs.values(inverse_std);
  const auto slope = packs.values(gamma), shift = packs.values(beta);
  const auto load = [&](auto whole, int64_t i) {
    return Packs<T, 2, N>{packs.load(whole, x, i), packs.load(whole, residual, i)};
  };
  packs.for_each(load, [&](auto whole, int64_t i, const Packs<T, 2, N>& value) {
    Pack<T, N> result;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const C z = (C(value.of[0].v[j]) - center.v[j]) * scale.v[j] * slope.v[j] + shift.v[j] + C(value.of[1].v[j]);
      result.v[j] = T(relu && z <= C(0) ? C(0) : z);
    }
    packs.store(whole, y, i, result);
  });
}

template <class T>
__global__ void backward_kernel(int64_t numel, bool wide, const T* dy, const T* y, T* dz) {
  using C = Compute<T>;
  const auto load = [&](auto size, int64_t i) {
    return Packs<T, 2, size>{load_as<Pack<T, size>>(dy + i), load_as<Pack<T, size>>(y + i)};
  };
  for_packs<pack_size<T>>(numel, wide, load, [&](auto size, int64_t i, const auto& value) {
    Pack<T, size> result;
#pragma unroll
    for (int j = 0; j < size; ++j) result.v[j] = C(value.of[1].v[j]) > C(0) ? value.of[0].v[j] : T(C(0));
    store_as(dz + i, result);
  });
}

void forward(const BatchNormAddArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const auto* mean = static_cast<const C*>(args.mean);
    const auto* inverse_std = static_cast<const C*>(args.inverse_std);
    const auto* gamma = static_cast<const C*>(args.gamma);
    const auto* beta = static_cast<const C*>(args.beta);
    const auto* x = static_cast<const T*>(args.x);
    const auto* residual = static_cast<const T*>(args.residual);
    auto* y = static_cast<T*>(args.y);
    const auto start = [&](auto n) {
      const auto elements = elements_of<n>(args.rows, args.channels, stream, mean, inverse_std, gamma, beta);
      launch("batch_norm_add", forward_kernel<n, T>, elements.grid, stream, elements, args.relu, x, residual, mean,
             inverse_std, gamma, beta, y);
    };
    with_channel_packs<T>(start, x, residual, y);
  });
}

void backward(const BatchNormAddBackwardArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto* dy = static_cast<const T*>(args.dy);
    const auto* y = static_cast<const T*>(args.y);
    auto* dz = static_cast<T*>(args.dz);
    const bool wide = holds_packs<T>(dy, y, dz);
    launch("batch_norm_add_backward", backward_kernel<T>, grid_for_packs(args.numel, wide ? pack_size<T> : 1, stream),
           stream, args.numel, wide, dy, y, dz);
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(batch_norm_add_kernel, weft::cuda::forward);
  WEFT_PLUG(batch_norm_add_backward_kernel, weft::cuda::backward);
}
