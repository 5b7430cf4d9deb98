// Uniform and normal numbers. A thread fills a pack, which shares blocks of Philox as far as the call's offset allows.
#include "weft/tensor/ops/random.h"

#include "weft/cuda/draws.cuh"
#include "weft/cuda/launch.cuh"
#include "weft/cuda/pack.cuh"
#include "weft/tensor/math.h"

namespace weft::cuda {
namespace {

template <class T>
__global__ void uniform_kernel_of(int64_t n, RandomCall call, Compute<T> low, Compute<T> high, T* out, bool wide) {
  constexpr int N = pack_size<T>;
  for (int64_t i = thread_in_grid() * N; i < n; i += threads_in_grid() * N) {
    Draws draws(call);
    Pack<T> pack;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const auto index = static_cast<uint64_t>(call.offset + i + j);
      if constexpr (std::is_same_v<T, double>)
        pack.v[j] = philox::place<T>(philox::unit64(draws.long_word(index)), low, high);
      else
        pack.v[j] = philox::place<T>(philox::unit<T>(draws.word(index)), low, high);
    }
    store4(out, i, n, wide, pack);
  }
}

/// One of the two values that Box-Muller makes of u in (0, 1] and v in [0, 1).
template <class C>
__device__ inline C box_muller(C u, C v, bool second) {
  const C radius = math::sqrt(C(-2) * math::log(u));
  return radius * (second ? sin_pi(2 * v) : cos_pi(2 * v));
}

__device__ inline float normal_value(Draws& draws, uint64_t index, float) {
  const philox::Words words = draws.block(index >> 2);
  const uint32_t first = index & 2 ? words.w2 : words.w0, second = index & 2 ? words.w3 : words.w1;
  const float u = static_cast<float>((first >> 8) + 1) * 0x1p-24f, v = static_cast<float>(second >> 8) * 0x1p-24f;
  return box_muller(u, v, index & 1);
}
__device__ inline double normal_value(Draws& draws, uint64_t index, double) {
  const philox::Words words = draws.block(index >> 1);
  const uint64_t first = Draws::pair(words, 0) >> 11, second = Draws::pair(words, 1) >> 11;
  return box_muller(static_cast<double>(first + 1) * 0x1p-53, static_cast<double>(second) * 0x1p-53, index & 1);
}

template <class T>
__global__ void normal_kernel_of(int64_t n, RandomCall call, Compute<T> mean, Compute<T> deviation, T* out, bool wide) {
  using C = Compute<T>;
  constexpr int N = pack_size<T>;
  for (int64_t i = thread_in_grid() * N; i < n; i += threads_in_grid() * N) {
    Draws draws(call);
    Pack<T> pack;
#pragma unroll
    for (int j = 0; j < N; ++j)
      pack.v[j] = T(mean + deviation * normal_value(draws, static_cast<uint64_t>(call.offset + i + j), C(0)));
    store4(out, i, n, wide, pack);
  }
}

void uniform(const UniformArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch("uniform", uniform_kernel_of<T>, grid_for(packs_of(args.n, pack_size<T>), stream), stream, args.n, args.call,
           static_cast<Compute<T>>(args.low), static_cast<Compute<T>>(args.high), static_cast<T*>(args.out),
           holds_packs<T>(args.out));
  });
}

void normal(const NormalArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch("normal", normal_kernel_of<T>, grid_for(packs_of(args.n, pack_size<T>), stream), stream, args.n, args.call,
           static_cast<Compute<T>>(args.mean), static_cast<Compute<T>>(args.deviation), static_cast<T*>(args.out),
           holds_packs<T>(args.out));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(uniform_kernel, weft::cuda::uniform);
  WEFT_PLUG(normal_kernel, weft::cuda::normal);
}
