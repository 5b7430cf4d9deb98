// Elementwise operations of one operand and their gradients: one kernel per element type and order, the operation
// chosen inside its loop. The choice is the same for all threads and costs less than the loads wait.
#include "weft/tensor/ops/unary.h"

#include "weft/cuda/ahead.cuh"
#include "weft/cuda/functor.cuh"

namespace weft::cuda {
namespace {

template <class F, class T>
inline constexpr bool takes = F::domain == Domain::numbers || std::is_floating_point_v<Compute<T>>;

/// Order 0: out = f(s).  1: out = dy df(s).  2: out = g dy d2f(s).
template <int order, class T>
__global__ void unary_kernel_of(UnaryOp op, double p, double q, int64_t n, const T* s, const T* dy, const T* g, T* out,
                                bool wide) {
  using C = Compute<T>;
  const auto load = [&](auto size, int64_t i) {
    Packs<T, order + 1, size> value;
    value.of[0] = load_as<Pack<T, size>>(s + i);
    if constexpr (order > 0) value.of[1] = load_as<Pack<T, size>>(dy + i);
    if constexpr (order > 1) value.of[2] = load_as<Pack<T, size>>(g + i);
    return value;
  };
  for_packs<pack_size<T>, true>(n, wide, load, [&](auto size, int64_t i, const auto& value) {
    Pack<T, size> pack = value.of[0];
    with_functor(op, p, q, [&](const auto& functor) {
      if constexpr (takes<std::decay_t<decltype(functor)>, T>) {
#pragma unroll
        for (int j = 0; j < size; ++j) {
          const C x = C(pack.v[j]);
          if constexpr (order == 0) pack.v[j] = T(functor.f(x));
          if constexpr (order == 1) pack.v[j] = T(C(value.of[1].v[j]) * functor.df(x));
          if constexpr (order == 2) pack.v[j] = T(C(value.of[2].v[j]) * C(value.of[1].v[j]) * functor.d2f(x));
        }
      }
    });
    store_as(out + i, pack);
  });
}

template <int order, class T>
void start(const UnaryArgs& args, Stream stream) {
  const bool wide = holds_packs<T>(args.s, args.out, args.dy, args.g);
  const Grid grid = grid_for_packs(args.numel, wide ? pack_size<T> : 1, stream);
  launch("unary", unary_kernel_of<order, T>, grid, stream, args.op, args.p, args.q, args.numel,
         static_cast<const T*>(args.s), static_cast<const T*>(args.dy), static_cast<const T*>(args.g),
         static_cast<T*>(args.out), wide);
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
