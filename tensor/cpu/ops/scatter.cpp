// scatter_add: lines are shared out among threads; each line is added up in order by one of them.
#include "weft/tensor/ops/scatter.h"

#include "weft/tensor/cpu/strided.h"

namespace weft {
namespace {

constexpr int64_t grain = 16384;

// n lines that follow each other by the last dimension's strides.
template <class T, class I>
struct Stretch {
  T* y;
  const T* source;
  const I* index;
  int64_t n, y_step, source_step, index_step;
};

// All lines of the stretch have the same indices, and lie side by side.
template <class T, class I>
WEFT_INLINE void add_rows(const ScatterAddArgs& args, const Stretch<T, I>& s) {
  for (int64_t j = 0; j < args.count; ++j) {
    T* const to = s.y + s.index[j * args.index_stride] * args.y_stride;
    const T* const from = s.source + j * args.source_stride;
#pragma omp simd
    for (int64_t i = 0; i < s.n; ++i) to[i] += from[i];
  }
}

template <class T, class I>
WEFT_INLINE void add_one(const ScatterAddArgs& args, const Stretch<T, I>& s, int64_t line, int64_t j) {
  const int64_t place = s.index[line * s.index_step + j * args.index_stride];
  s.y[line * s.y_step + place * args.y_stride] += s.source[line * s.source_step + j * args.source_stride];
}

template <class T, class I>
void add_lines(const ScatterAddArgs& args) {
  const Collapsed& lines = args.lines;
  const int last = lines.rank - 1;
  const int64_t y_step = lines.stride[0][last], source_step = lines.stride[1][last];
  const int64_t index_step = lines.stride[2][last];
  T* const y = static_cast<T*>(args.y);
  const T* const source = static_cast<const T*>(args.source);
  const I* const index = static_cast<const I*>(args.index);
  parallel_for(lines.numel, 1 + grain / args.count, [=, &args, &lines](int64_t begin, int64_t end) {
    for_rows<3>(lines, begin, end, [=, &args](const int64_t* offset, int64_t n) {
      const Stretch<T, I> s{y + offset[0], source + offset[1], index + offset[2], n, y_step, source_step, index_step};
      if (y_step == 1 && source_step == 1 && index_step == 0) return add_rows(args, s);
      if (source_step == 1) {  // whichever of the two loops reads the source in order is the inner one
        for (int64_t j = 0; j < args.count; ++j)
          for (int64_t line = 0; line < n; ++line) add_one(args, s, line, j);
      } else {
        for (int64_t line = 0; line < n; ++line)
          for (int64_t j = 0; j < args.count; ++j) add_one(args, s, line, j);
      }
    });
  });
}

template <class T>
void add(const ScatterAddArgs& args) {
  args.index_dtype == DType::i64 ? add_lines<T, int64_t>(args) : add_lines<T, int32_t>(args);
}

void scatter_add(const ScatterAddArgs& args, Stream) {
  switch (args.dtype) {
    case DType::f32:
      return add<float>(args);
    case DType::f64:
      return add<double>(args);
    case DType::i32:
      return add<int32_t>(args);
    default:
      return add<int64_t>(args);
  }
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(weft::scatter_add_kernel, weft::scatter_add); }
