// Operations on lists of tensors on the CPU: one pass over each tensor.
#include "weft/tensor/ops/foreach.h"

#include "weft/tensor/cpu/strided.h"
#include "weft/tensor/math.h"

namespace weft {
namespace {

constexpr int64_t grain = 1 << 14;  // elements worth a thread

template <class T>
void axpby_item(const ForeachItem& item, double a_number, double b_number) {
  using C = Compute<T>;
  T* const y = static_cast<T*>(item.y);
  const T* const x = static_cast<const T*>(item.x);
  const C a = static_cast<C>(a_number), b = static_cast<C>(b_number);
  parallel_for(item.numel, grain, [=](int64_t begin, int64_t end) {
    if (!x) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) assign(y[i], static_cast<T>(b * static_cast<C>(y[i])));
      return;
    }
#pragma omp simd
    for (int64_t i = begin; i < end; ++i)
      assign(y[i], static_cast<T>(b * static_cast<C>(y[i]) + a * static_cast<C>(x[i])));
  });
}

void axpby(const ForeachAxpbyArgs& args, Stream) {
  const double b = args.factor ? args.b * *args.factor : args.b;
  dispatch_floating(args.dtype, [&](auto tag) {
    for (int64_t k = 0; k < args.count; ++k) axpby_item<typename decltype(tag)::type>(args.items[k], args.a, b);
  });
}

template <class T>
WEFT_INLINE double squares_of(const T* x, int64_t n) {
  constexpr int lanes = 8;
  double sum[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int k = 0; k < lanes; ++k) {
      const double value = static_cast<Compute<T>>(x[i + k]);
      sum[k] += value * value;
    }
  for (; i < n; ++i) {
    const double value = static_cast<Compute<T>>(x[i]);
    sum[0] += value * value;
  }
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

void squares(const ForeachSquaresArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    double* partials = args.partials;
    for (int64_t k = 0; k < args.count; ++k) {
      const int64_t numel = args.items[k].numel, chunks = (numel + foreach_chunk - 1) / foreach_chunk;
      const T* const x = static_cast<const T*>(args.items[k].y);
      parallel_for(chunks, grain / foreach_chunk, [=](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c)
          partials[c] = squares_of(x + c * foreach_chunk, smaller(foreach_chunk, numel - c * foreach_chunk));
      });
      partials += chunks;
    }
  });
}

void total(const ForeachTotalArgs& args, Stream) {
  double sum = 0;
  for (int64_t c = 0; c < args.chunks; ++c) sum += args.partials[c];
  *args.square = sum;
  if (!args.factor) return;
  *args.norm = math::sqrt(sum);
  const double factor = args.max_norm / (*args.norm + 1e-6);
  *args.factor = factor > 1 ? 1 : factor;
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(weft::foreach_axpby_kernel, weft::axpby);
  WEFT_PLUG(weft::foreach_squares_kernel, weft::squares);
  WEFT_PLUG(weft::foreach_total_kernel, weft::total);
}
