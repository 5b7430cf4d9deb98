// Sums by a tree on the CPU: strip by strip, so that what lies between terms and sum stays in the nearest cache.
#include "weft/tensor/ops/tree_sum.h"

#include "weft/tensor/cpu/strided.h"

namespace weft {
namespace {

constexpr int64_t grain = 1 << 14;
constexpr int depth = 4;  // of a tree over tree_sum_most terms

template <class T>
WEFT_INLINE void add(const T* a, const T* b, T* out, int64_t n) {
  using W = Wide<T>;
#pragma omp simd
  for (int64_t k = 0; k < n; ++k) assign(out[k], static_cast<T>(static_cast<W>(a[k]) + static_cast<W>(b[k])));
}

// The tree over elements [i, i + n) of x[0, count), into `out`; `spare` holds a strip for each level below.
template <class T>
void tree(const void* const* x, int count, int64_t i, int64_t n, T* out, T* spare) {
  const auto term = [=](int k) { return static_cast<const T*>(x[k]) + i; };
  if (count == 1) return convert_run(term(0), out, n);
  if (count == 2) return add(term(0), term(1), out, n);
  int half = 2;
  while (half * 2 < count) half *= 2;
  tree(x, half, i, n, out, spare);
  if (count - half == 1) return add(out, term(half), out, n);
  tree(x + half, count - half, i, n, spare, spare + stage);
  add(out, spare, out, n);
}

void tree_sum(const TreeSumArgs& args, Stream) {
  dispatch_all(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    parallel_for(args.numel, grain, [&](int64_t begin, int64_t end) {
      T spare[depth * stage];
      for (int64_t i = begin; i < end; i += stage) {
        const int64_t n = smaller(stage, end - i);
        T* const sum = static_cast<T*>(args.y[0]) + i;
        tree(args.x, args.count, i, n, sum, spare);
        for (int j = 1; j < args.outputs; ++j) convert_run(sum, static_cast<T*>(args.y[j]) + i, n);
      }
    });
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(weft::tree_sum_kernel, weft::tree_sum); }
