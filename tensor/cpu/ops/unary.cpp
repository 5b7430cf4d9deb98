// Elementwise operations of one operand: one loop per functor, order and compute type; 16-bit elements pass through float
// buffers, so that they need no loops of their own.
#include "weft/tensor/ops/unary.h"

#include "weft/tensor/cpu/strided.h"

namespace weft {
namespace {

constexpr int64_t grain = 8192;

template <class T>
using Loop = void (*)(double p, double q, int64_t n, const T* s, const T* dy, const T* g, T* out);

template <class Functor, int order, class T>
void loop(double p, double q, int64_t n, const T* s, const T* dy, const T* g, T* out) {
  const Functor functor{p, q};
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (order == 0) out[i] = functor.f(s[i]);
    if constexpr (order == 1) out[i] = dy[i] * functor.df(s[i]);
    if constexpr (order == 2) out[i] = g[i] * dy[i] * functor.d2f(s[i]);
  }
}

template <class T>
Loop<T> loop_of(UnaryOp op, int order) {
  Loop<T> found = nullptr;
  pointwise::dispatch(op, 0, 0, [&](auto functor) {
    using Functor = decltype(functor);
    if constexpr (std::is_floating_point_v<T>) {
      found = order == 0 ? loop<Functor, 0, T> : order == 1 ? loop<Functor, 1, T> : loop<Functor, 2, T>;
    } else if constexpr (Functor::domain == Domain::numbers) {
      found = loop<Functor, 0, T>;
    }
  });
  return found;
}

// 16-bit elements, a buffer at a time.
template <class T>
void run_staged(const UnaryArgs& args, Loop<float> loop, int64_t begin, int64_t end) {
  float s[stage], dy[stage], g[stage];
  for (int64_t i = begin; i < end; i += stage) {
    const int64_t n = smaller(stage, end - i);
    convert_run(static_cast<const T*>(args.s) + i, s, n);
    if (args.dy) convert_run(static_cast<const T*>(args.dy) + i, dy, n);
    if (args.g) convert_run(static_cast<const T*>(args.g) + i, g, n);
    loop(args.p, args.q, n, s, dy, g, s);
    convert_run(s, static_cast<T*>(args.out) + i, n);
  }
}

template <class T>
void run(const UnaryArgs& args) {
  const auto loop = loop_of<Compute<T>>(args.op, args.order);
  parallel_for(args.numel, grain, [&args, loop](int64_t begin, int64_t end) {
    if constexpr (std::is_same_v<T, Compute<T>>) {
      const auto at = [begin](const void* x) { return x ? static_cast<const T*>(x) + begin : nullptr; };
      loop(args.p, args.q, end - begin, at(args.s), at(args.dy), at(args.g), static_cast<T*>(args.out) + begin);
    } else {
      run_staged<T>(args, loop, begin, end);
    }
  });
}

void unary(const UnaryArgs& args, Stream) {
  switch (args.dtype) {
    case DType::f32: return run<float>(args);
    case DType::f64: return run<double>(args);
    case DType::f16: return run<Half>(args);
    case DType::bf16: return run<BFloat16>(args);
    case DType::i64: return run<int64_t>(args);
    case DType::i32: return run<int32_t>(args);
    case DType::u8: return run<uint8_t>(args);
    case DType::boolean: return;  // refused before
  }
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(weft::unary_kernel, weft::unary); }
