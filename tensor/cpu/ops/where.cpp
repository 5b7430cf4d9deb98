// where: elements chosen by a bool, moved by size.
#include "weft/tensor/ops/where.h"

#include "weft/tensor/cpu/moves.h"

namespace weft {
namespace {

constexpr int64_t grain = 16384;

template <class T>
void choose(int64_t n, const bool* condition, const T* a, const T* b, T* out) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T yes = a[i], no = b[i];  // both read, so that the choice is a blend
    out[i] = condition[i] ? yes : no;
  }
}

// The row itself where it is contiguous, else gathered into the buffer.
template <class T>
WEFT_INLINE const T* gathered(const T* x, int64_t stride, int64_t n, T* buffer) {
  if (stride == 1) return x;
  move_run(x, stride, buffer, 1, n);
  return buffer;
}

template <class T>
void where_as(const WhereArgs& args) {
  const T a_number = static_cast<T>(args.a_bits), b_number = static_cast<T>(args.b_bits);
  const bool* const condition = static_cast<const bool*>(args.condition);
  const T* const a = args.a ? static_cast<const T*>(args.a) : &a_number;
  const T* const b = args.b ? static_cast<const T*>(args.b) : &b_number;
  T* const out = static_cast<T*>(args.out);
  Collapsed dense;
  if (!args.geometry) {
    dense.rank = 1;
    dense.extent[0] = dense.numel = args.numel;
    dense.stride[0][0] = dense.stride[1][0] = 1;
    dense.stride[2][0] = args.a ? 1 : 0;
    dense.stride[3][0] = args.b ? 1 : 0;
  }
  const Collapsed& geometry = args.geometry ? *args.geometry : dense;
  const int last = geometry.rank - 1;
  const int64_t out_step = geometry.stride[0][last], condition_step = geometry.stride[1][last];
  const int64_t a_step = geometry.stride[2][last], b_step = geometry.stride[3][last];
  parallel_for(args.numel, grain, [=, &geometry](int64_t begin, int64_t end) {
    bool conditions[stage];
    T left[stage], right[stage], results[stage];
    for_rows<4>(geometry, begin, end, [&](const int64_t* offset, int64_t n) {
      for (int64_t i = 0; i < n; i += stage) {
        const int64_t m = smaller(stage, n - i);
        T* const to = out + offset[0] + i * out_step;
        choose(m, gathered(condition + offset[1] + i * condition_step, condition_step, m, conditions),
               gathered(a + offset[2] + i * a_step, a_step, m, left),
               gathered(b + offset[3] + i * b_step, b_step, m, right), out_step == 1 ? to : results);
        if (out_step != 1) move_run(results, 1, to, out_step, m);
      }
    });
  });
}

void where(const WhereArgs& args, Stream) {
  dispatch_size(args.element_size, [&](auto tag) { where_as<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(weft::where_kernel, weft::where); }
