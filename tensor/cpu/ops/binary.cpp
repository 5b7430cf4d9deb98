// Elementwise operations and comparisons of two operands. Rows whose operands are contiguous or constant run as
// vectors; everything else passes through small buffers into the same loops, so that bits do not depend on the layout.
#include "weft/tensor/ops/binary.h"

#include "weft/tensor/cpu/strided.h"
#include "weft/tensor/functors.h"

namespace weft {
namespace {

constexpr int64_t grain = 16384;

// Both operands contiguous, or one of them (step 0) a single number; the latter only where has_constants<W, Out>.
template <class W, class Out>
using Loop = void (*)(double p, int64_t n, const W* a, int64_t a_step, const W* b, int64_t b_step, Out* out);

// Loops are code: constants have some of their own only where training spends its time.
template <class W, class Out>
constexpr bool has_constants = std::is_floating_point_v<W>&& std::is_same_v<W, Out>;

template <class Functor, class W, class Out>
void loop(double p, int64_t n, const W* a, int64_t a_step, const W* b, int64_t b_step, Out* out) {
  Functor functor;
  if constexpr (requires { functor.p; }) functor.p = p;
  if (has_constants<W, Out> && b_step == 0) {
    const W right = *b;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) out[i] = functor.f(a[i], right);
  } else if (has_constants<W, Out> && a_step == 0) {
    const W left = *a;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) out[i] = functor.f(left, b[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) out[i] = functor.f(a[i], b[i]);
  }
}

template <class W>
Loop<W, W> loop_of(BinaryOp op) {
  Loop<W, W> found = nullptr;
  pointwise::dispatch(op, 0, [&](auto functor) {
    using Functor = decltype(functor);
    if constexpr (std::is_floating_point_v<W> || !std::is_same_v<Functor, pointwise::Div>) found = loop<Functor, W, W>;
  });
  return found;
}
template <class W>
Loop<W, bool> loop_of(CompareOp op) {
  Loop<W, bool> found = nullptr;
  pointwise::dispatch(op, [&](auto functor) { found = loop<decltype(functor), W, bool>; });
  return found;
}

template <class W>
struct Operand {
  const void* data;
  int64_t stride;
  Access<W> access;

  const W* load(int64_t i, int64_t n, W* buffer) const {
    return access.load(access.at(data, i * stride), stride, n, buffer);
  }
};

// One row.
template <class W, class Out>
void run_row(Loop<W, Out> loop, double p, int64_t n, const Operand<W>& a, const Operand<W>& b, void* out,
             int64_t out_stride, const Access<Out>& to) {
  const bool contiguous = a.stride == 1 && b.stride == 1;
  const bool constant = has_constants<W, Out> && a.stride + b.stride == 1 && (a.stride == 0 || b.stride == 0);
  const bool native = a.access.native && b.access.native && to.native;
  if (native && out_stride == 1 && (contiguous || constant))
    return loop(p, n, static_cast<const W*>(a.data), a.stride, static_cast<const W*>(b.data), b.stride,
                static_cast<Out*>(out));
  W left[stage], right[stage];
  Out results[stage];
  for (int64_t i = 0; i < n; i += stage) {
    const int64_t m = smaller(stage, n - i);
    void* const y = to.at(out, i * out_stride);
    const bool direct = to.native && out_stride == 1;
    loop(p, m, a.load(i, m, left), 1, b.load(i, m, right), 1, direct ? static_cast<Out*>(y) : results);
    if (!direct) to.store(y, out_stride, m, results);
  }
}

// A geometry with dense operands, except that operand 2 may be constant.
Collapsed dense(int64_t numel, int64_t b_stride) {
  Collapsed g;
  g.rank = 1;
  g.numel = g.extent[0] = numel;
  g.stride[0][0] = g.stride[1][0] = 1;
  g.stride[2][0] = b_stride;
  return g;
}

// Many short rows, contiguous one after another, against one row that repeats (a bias per channel, channels-last):
// several rows become one, against that row written several times.
template <class W>
bool run_repeated(Loop<W, W> loop, double p, const Collapsed& g, const void* a, const void* b, void* out) {
  if (g.rank != 2) return false;
  const int64_t columns = g.extent[1];
  const auto has_strides = [&](int k, int64_t outer) { return g.stride[k][0] == outer && g.stride[k][1] == 1; };
  const bool b_repeats = has_strides(1, columns) && has_strides(2, 0),
             a_repeats = has_strides(2, columns) && has_strides(1, 0);
  if (columns > stage / 2 || !has_strides(0, columns) || !(a_repeats || b_repeats)) return false;
  const int64_t rows = stage / columns;
  W repeated[stage];
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < columns; ++i) repeated[r * columns + i] = static_cast<const W*>(b_repeats ? b : a)[i];
  const W* const full = static_cast<const W*>(b_repeats ? a : b);
  parallel_for(g.extent[0], grain / columns, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row += rows) {
      const int64_t n = smaller(rows, end - row) * columns;
      const W* const x = full + row * columns;
      loop(p, n, b_repeats ? x : repeated, 1, b_repeats ? repeated : x, 1, static_cast<W*>(out) + row * columns);
    }
  });
  return true;
}

template <class W, class Out>
void run(Loop<W, Out> loop, double p, const Collapsed& g, const void* a, const Access<W>& a_access, const void* b,
         const Access<W>& b_access, void* out, const Access<Out>& to) {
  const int last = g.rank - 1;
  const int64_t out_stride = g.stride[0][last], a_stride = g.stride[1][last], b_stride = g.stride[2][last];
  parallel_for(g.numel, grain, [&](int64_t begin, int64_t end) {
    for_rows<3>(g, begin, end, [&](const int64_t* offset, int64_t n) {
      run_row<W, Out>(loop, p, n, {a_access.at(a, offset[1]), a_stride, a_access},
                      {b_access.at(b, offset[2]), b_stride, b_access}, to.at(out, offset[0]), out_stride, to);
    });
  });
}

void binary(const BinaryArgs& args, Stream) {
  dispatch_access(args.dtype, [&]<class W>(const Access<W>& access) {
    const Loop<W, W> loop = loop_of<W>(args.op);
    // Small tensors of one layout are common, and here every nanosecond counts.
    if (!args.geometry && access.native && args.numel < grain)
      return loop(args.p, args.numel, static_cast<const W*>(args.a), 1, static_cast<const W*>(args.b), 1,
                  static_cast<W*>(args.out));
    const Collapsed& g = args.geometry ? *args.geometry : dense(args.numel, 1);
    if (access.native && run_repeated<W>(loop, args.p, g, args.a, args.b, args.out)) return;
    run(loop, args.p, g, args.a, access, args.b, access, args.out, access);
  });
}

void compare(const CompareArgs& args, Stream) {
  dispatch_access(args.dtype, [&]<class W>(const Access<W>& access) {
    const W number = static_cast<W>(args.scalar);  // read with stride 0
    const Collapsed& g = args.geometry ? *args.geometry : dense(args.numel, args.b ? 1 : 0);
    run(loop_of<W>(args.op), 0, g, args.a, access, args.b ? args.b : &number, args.b ? access : access_as<W, W>,
        args.out, access_as<bool, bool>);
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(weft::binary_kernel, weft::binary);
  WEFT_PLUG(weft::compare_kernel, weft::compare);
}
