// Elementwise operations of one operand: one loop per functor, order and wide type; narrow elements pass through
// buffers, so that they need no loops of their own.
#include "weft/tensor/ops/unary.h"

#include "weft/tensor/cpu/strided.h"
#include "weft/tensor/functors.h"

namespace weft {
namespace {

constexpr int64_t grain = 8192;

template <class W>
using Loop = void (*)(double p, double q, int64_t n, const W* s, const W* dy, const W* g, W* out);

template <class Functor, int order, class W>
void loop(double p, double q, int64_t n, const W* s, const W* dy, const W* g, W* out) {
  const Functor functor{p, q};
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (order == 0) out[i] = functor.f(s[i]);
    if constexpr (order == 1) out[i] = dy[i] * functor.df(s[i]);
    if constexpr (order == 2) out[i] = g[i] * dy[i] * functor.d2f(s[i]);
  }
}

template <class W>
Loop<W> loop_of(UnaryOp op, int order) {
  Loop<W> found = nullptr;
  pointwise::dispatch(op, 0, 0, [&](auto functor) {
    using Functor = decltype(functor);
    if constexpr (std::is_floating_point_v<W>) {
      found = order == 0 ? loop<Functor, 0, W> : order == 1 ? loop<Functor, 1, W> : loop<Functor, 2, W>;
    } else if constexpr (Functor::domain == Domain::numbers) {
      found = loop<Functor, 0, W>;
    }
  });
  return found;
}

template <class W>
void run(const UnaryArgs& args, const Access<W>& access) {
  const Loop<W> loop = loop_of<W>(args.op, args.order);
  parallel_for(args.numel, grain, [&args, &access, loop](int64_t begin, int64_t end) {
    const auto at = [&](const void* x, int64_t i) { return x ? access.at(x, i) : nullptr; };
    if (access.native) {
      loop(args.p, args.q, end - begin, static_cast<const W*>(at(args.s, begin)),
           static_cast<const W*>(at(args.dy, begin)), static_cast<const W*>(at(args.g, begin)),
           static_cast<W*>(access.at(args.out, begin)));
      return;
    }
    W s[stage], dy[stage], g[stage];
    for (int64_t i = begin; i < end; i += stage) {
      const int64_t n = smaller(stage, end - i);
      access.load(at(args.s, i), 1, n, s);
      if (args.dy) access.load(at(args.dy, i), 1, n, dy);
      if (args.g) access.load(at(args.g, i), 1, n, g);
      loop(args.p, args.q, n, s, dy, g, s);
      access.store(access.at(args.out, i), 1, n, s);
    }
  });
}

void unary(const UnaryArgs& args, Stream) {
  dispatch_access(args.dtype, [&](const auto& access) { run(args, access); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(weft::unary_kernel, weft::unary); }
