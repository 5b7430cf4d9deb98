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

template <int N, class T>
__global__ void normalize_kernel(ChannelElements elements, bool relu, const T* x, const Compute<T>* mean,
                                 const Compute<T>* inverse_std, const Compute<T>* gamma, const Compute<T>* beta, T* y) {
  using C = Compute<T>;
  const ChannelPacks<N> packs(elements);
  const auto center = packs.values(mean), scale = packs.values(inverse_std);
  const auto slope = packs.values(gamma), shift = packs.values(beta);
  packs.for_each([&](auto whole, int64_t i) { return packs.load(whole, x, i); },
                 [&](auto whole, int64_t i, Pack<T, N> pack) {
#pragma unroll
                   for (int j = 0; j < N; ++j) {
                     const C z = (C(pack.v[j]) - center.v[j]) * scale.v[j] * slope.v[j] + shift.v[j];
                     pack.v[j] = T(relu && z <= C(0) ? C(0) : z);
                   }
                   packs.store(whole, y, i, pack);
                 });
}

template <int N, class T>
__global__ void backward_kernel(ChannelElements elements, Compute<T> count, const T* x, const T* dy, const T* y,
                                const Compute<T>* mean, const Compute<T>* inverse_std, const Compute<T>* gamma,
                                const Compute<T>* sum_dz, const Compute<T>* sum_dz_xh, T* dx) {
  using C = Compute<T>;
  const ChannelPacks<N> packs(elements);
  const auto scale = packs.values(inverse_std), weight = packs.values(gamma);
  Pack<C, N> center = {}, first = {}, second = {};
  if (sum_dz) {
    center = packs.values(mean);
    first = packs.values(sum_dz);
    second = packs.values(sum_dz_xh);
  }
  const auto load = [&](auto whole, int64_t i) {
    Packs<T, 3, N> value = {packs.load(whole, dy, i), {}, {}};
    if (y) value.of[1] = packs.load(whole, y, i);
    if (sum_dz) value.of[2] = packs.load(whole, x, i);
    return value;
  };
  packs.for_each(load, [&](auto whole, int64_t i, const Packs<T, 3, N>& value) {
    Pack<T, N> result;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      C dz = !y || C(value.of[1].v[j]) > C(0) ? C(value.of[0].v[j]) : C(0);
      if (sum_dz) {
        const C xh = (C(value.of[2].v[j]) - center.v[j]) * scale.v[j];
        dz -= (first.v[j] + xh * second.v[j]) / count;
      }
      result.v[j] = T(weight.v[j] * scale.v[j] * dz);
    }
    packs.store(whole, dx, i, result);
  });
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
    const auto* mean = static_cast<const C*>(args.mean);
    const auto* inverse_std = static_cast<const C*>(args.inverse_std);
    const auto* gamma = static_cast<const C*>(args.gamma);
    const auto* beta = static_cast<const C*>(args.beta);
    const auto* x = static_cast<const T*>(args.x);
    auto* y = static_cast<T*>(args.y);
    const auto start = [&](auto n) {
      const auto elements = elements_of<n>(args.rows, args.channels, stream, mean, inverse_std, gamma, beta);
      launch("batch_norm", normalize_kernel<n, T>, elements.grid, stream, elements, args.relu, x, mean, inverse_std,
             gamma, beta, y);
    };
    with_channel_packs<T>(start, x, y);
  });
}

void backward(const BatchNormBackwardArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const auto* mean = static_cast<const C*>(args.mean);
    const auto* inverse_std = static_cast<const C*>(args.inverse_std);
    const auto* gamma = static_cast<const C*>(args.gamma);
    const auto* sum_dz = static_cast<const C*>(args.sum_dz);
    const auto* sum_dz_xh = static_cast<const C*>(args.sum_dz_xh);
    const auto* x = static_cast<const T*>(args.x);
    const auto* dy = static_cast<const T*>(args.dy);
    const auto* y = static_cast<const T*>(args.y);
    auto* dx = static_cast<T*>(args.dx);
    const auto start = [&](auto n) {
      const auto elements =
          elements_of<n>(args.rows, args.channels, stream, mean, inverse_std, gamma, sum_dz, sum_dz_xh);
      launch("batch_norm_backward", backward_kernel<n, T>, elements.grid, stream, elements, static_cast<C>(args.count),
             x, dy, y, mean, inverse_std, gamma, sum_dz, sum_dz_xh, dx);
    };
    with_channel_packs<T>(start, x, dy, y, dx);
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(batch_norm_finish_kernel, weft::cuda::finish);
  WEFT_PLUG(batch_norm_kernel, weft::cuda::normalize);
  WEFT_PLUG(batch_norm_backward_kernel, weft::cuda::backward);
}
