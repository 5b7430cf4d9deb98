// Elementwise operations of one operand and their gradients: one kernel per element type and order, the operation
// chosen inside its loop. The choice is the same for all threads and costs less than the loads wait.
#include "weft/tensor/ops/unary.h"

#include "weft/cuda/functor.cuh"
#include "weft/cuda/launch.cuh"
#include "weft/cuda/pack.cuh"

namespace weft::cuda {
namespace {

template <class F, class T>
inline constexpr bool takes = F::domain == Domain::numbers || std::is_floating_point_v<Compute<T>>;

/// Order 0: out = f(s).  1: out = dy df(s).  2: out = g dy d2f(s).
template <int order, class T>
__global__ void unary_kernel_of(UnaryOp op, double p, double q, int64_t n, const T* s, const T* dy, const T* g, T* out,
                                bool wide) {
  using C = Compute<T>;
  constexpr int width = pack_size<T>;
  for (int64_t i = thread_in_grid() * width; i < n; i += threads_in_grid() * width) {
    Pack<T> pack = load4(s, i, n, wide);
    C factor[width];
    if constexpr (order > 0) {
      const Pack<T> slope = load4(dy, i, n, wide);
#pragma unroll
      for (int j = 0; j < width; ++j) factor[j] = C(slope.v[j]);
    }
    if constexpr (order > 1) {
      const Pack<T> outer = load4(g, i, n, wide);
#pragma unroll
      for (int j = 0; j < width; ++j) factor[j] = C(outer.v[j]) * factor[j];
    }
    with_functor(op, p, q, [&](const auto& functor) {
      if constexpr (takes<std::decay_t<decltype(functor)>, T>) {
#pragma unroll
        for (int j = 0; j < width; ++j) {
          const C x = C(pack.v[j]);
          if constexpr (order == 0) pack.v[j] = T(functor.f(x));
          if constexpr (order == 1) pack.v[j] = T(factor[j] * functor.df(x));
          if constexpr (order == 2) pack.v[j] = T(factor[j] * functor.d2f(x));
        }
      }
    });
    store4(out, i, n, wide, pack);
  }
}

template <int order, class T>
void start(const UnaryArgs& args, Stream stream) {
  const bool wide = holds_packs<T>(args.s, args.out, args.dy, args.g);
  launch("unary", unary_kernel_of<order, T>, grid_for(packs_of(args.numel, pack_size<T>), stream), stream, args.op,
         args.p, args.q, args.numel, static_cast<const T*>(args.s), static_cast<const T*>(args.dy),
         static_cast<const T*>(args.g), static_cast<T*>(args.out), wide);
}

void unary(const UnaryArgs& args, Stream stream) {
  dispatch_all(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_floating_point_v<Compute<T>>) {
      if (args.order == 0) start<0, T>(args, stream);
      if (args.order == 1) start<1, T>(args, stream);
      if (args.order == 2) start<2, T>(args, stream);
    } else if constexpr (!std::is_same_v<T, bool>) {
      start<0, T>(args, stream);  // integers have no gradient
    }
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(unary_kernel, weft::cuda::unary); }
