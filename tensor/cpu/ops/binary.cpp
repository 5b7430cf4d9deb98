// Elementwise operations and comparisons of two operands. Rows whose operands are contiguous or constant run as vectors;
// everything else is staged through small buffers into the same loops, so that bits do not depend on the layout.
#include "weft/tensor/ops/binary.h"

#include "weft/tensor/cpu/strided.h"

namespace weft {
namespace {

constexpr int64_t grain = 16384;

// Both operands contiguous, or one of them (step 0) a single number; the latter only where has_constants<T, Out>.
template <class T, class Out>
using Loop = void (*)(double p, int64_t n, const T* a, int64_t a_step, const T* b, int64_t b_step, Out* out);

// Loops are code: constants have some of their own only where training spends its time.
template <class T, class Out>
constexpr bool has_constants = std::is_floating_point_v<T> && std::is_same_v<T, Out>;

template <class Functor, class T, class Out>
void loop(double p, int64_t n, const T* a, int64_t a_step, const T* b, int64_t b_step, Out* out) {
  Functor functor;
  if constexpr (requires { functor.p; }) functor.p = p;
  if (has_constants<T, Out> && b_step == 0) {
    const T right = *b;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) out[i] = functor.f(a[i], right);
  } else if (has_constants<T, Out> && a_step == 0) {
    const T left = *a;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) out[i] = functor.f(left, b[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) out[i] = functor.f(a[i], b[i]);
  }
}

template <class T>
Loop<T, T> loop_of(BinaryOp op) {
  Loop<T, T> found = nullptr;
  pointwise::dispatch(op, 0, [&](auto functor) {
    using Functor = decltype(functor);
    if constexpr (std::is_floating_point_v<T> || !std::is_same_v<Functor, pointwise::Div>) found = loop<Functor, T, T>;
  });
  return found;
}
template <class T>
Loop<T, bool> loop_of(CompareOp op) {
  Loop<T, bool> found = nullptr;
  pointwise::dispatch(op, [&](auto functor) { found = loop<decltype(functor), T, bool>; });
  return found;
}

// One row of n elements. T, Out: in memory; the loop works on Compute<T>.
template <class T, class Out, class F>
WEFT_INLINE void run_row(F loop, double p, int64_t n, const T* a, int64_t a_stride, const T* b, int64_t b_stride, Out* out,
                         int64_t out_stride) {
  using C = Compute<T>;
  if constexpr (std::is_same_v<T, C>) {
    const bool contiguous = a_stride == 1 && b_stride == 1;
    const bool constant = has_constants<T, Out> && a_stride + b_stride == 1 && (a_stride == 0 || b_stride == 0);
    if (out_stride == 1 && (contiguous || constant)) return loop(p, n, a, a_stride, b, b_stride, out);
  }
  C left[stage], right[stage];
  Compute<Out> results[stage];
  for (int64_t i = 0; i < n; i += stage) {
    const int64_t m = smaller(stage, n - i);
    const C* x = staged_in(a + i * a_stride, a_stride, m, left);
    const C* y = staged_in(b + i * b_stride, b_stride, m, right);
    loop(p, m, x, 1, y, 1, staged_for(out + i * out_stride, out_stride, results));
    staged_out(out + i * out_stride, out_stride, m, results);
  }
}

template <class T, class Out, class F>
void run(F loop, double p, int64_t numel, const T* a, const T* b, Out* out, const Collapsed* geometry) {
  if (!geometry) {
    parallel_for(numel, grain, [=](int64_t begin, int64_t end) {
      run_row(loop, p, end - begin, a + begin, 1, b + begin, 1, out + begin, 1);
    });
    return;
  }
  const auto& stride = geometry->stride;
  const int last = geometry->rank - 1;
  parallel_for(numel, grain, [=](int64_t begin, int64_t end) {
    for_rows<3>(*geometry, begin, end, [=](const int64_t* offset, int64_t n) {
      run_row(loop, p, n, a + offset[1], stride[1][last], b + offset[2], stride[2][last], out + offset[0], stride[0][last]);
    });
  });
}

void binary(const BinaryArgs& args, Stream) {
  dispatch_all(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    run(loop_of<Compute<T>>(args.op), args.p, args.numel, static_cast<const T*>(args.a), static_cast<const T*>(args.b),
        static_cast<T*>(args.out), args.geometry);
  });
}

// b is one number.
template <class T>
void compare_with_scalar(const CompareArgs& args) {
  Compute<T> numbers[stage];
  for (auto& number : numbers) number = static_cast<Compute<T>>(args.scalar);
  const auto loop = loop_of<Compute<T>>(args.op);
  const auto* a = static_cast<const T*>(args.a);
  auto* out = static_cast<bool*>(args.out);
  Collapsed dense;
  if (!args.geometry) {
    dense.rank = 1;
    dense.extent[0] = dense.numel = args.numel;
    dense.stride[0][0] = dense.stride[1][0] = 1;
  }
  const Collapsed& geometry = args.geometry ? *args.geometry : dense;
  const int64_t out_stride = geometry.stride[0][geometry.rank - 1], a_stride = geometry.stride[1][geometry.rank - 1];
  parallel_for(args.numel, grain, [&](int64_t begin, int64_t end) {
    for_rows<2>(geometry, begin, end, [&](const int64_t* offset, int64_t n) {
      Compute<T> left[stage];
      bool results[stage];
      for (int64_t i = 0; i < n; i += stage) {
        const int64_t m = smaller(stage, n - i);
        bool* y = out + offset[0] + i * out_stride;
        loop(0, m, staged_in(a + offset[1] + i * a_stride, a_stride, m, left), 1, numbers, 1,
             staged_for(y, out_stride, results));
        staged_out(y, out_stride, m, results);
      }
    });
  });
}

void compare(const CompareArgs& args, Stream) {
  dispatch_all(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (!args.b) return compare_with_scalar<T>(args);
    run(loop_of<Compute<T>>(args.op), 0.0, args.numel, static_cast<const T*>(args.a), static_cast<const T*>(args.b),
        static_cast<bool*>(args.out), args.geometry);
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(weft::binary_kernel, weft::binary);
  WEFT_PLUG(weft::compare_kernel, weft::compare);
}
