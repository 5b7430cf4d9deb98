// scatter_add without atomics: with the positions of a line sorted by index, the thread that sits at the first of a run
// of equal indices adds the whole run up, in order. The same additions in the same order as on the CPU.
#include "weft/tensor/ops/scatter.h"

#include "weft/cuda/walk.cuh"

namespace weft::cuda {
namespace {

/// Threads are numbered by line and place in the sorted order; neighbours differ by whichever lies side by side.
struct Shares {
  int64_t lines, count;
  bool line_fastest;
  Divider by_inner;

  struct Place {
    int64_t line, at;
  };
  __device__ Place place(int64_t i) const {
    const auto [outer, inner] = by_inner(i);
    return line_fastest ? Place{inner, outer} : Place{outer, inner};
  }
};

/// One line: its indices in sorted order.
template <class I>
struct Line {
  const I* index;
  const int64_t* order;
  int64_t stride, count, limit;

  __device__ int64_t position(int64_t at) const { return order[at * stride]; }
  __device__ int64_t index_at(int64_t at) const { return index[position(at) * stride]; }
  /// The first of a run of equal indices that exist.
  __device__ bool heads(int64_t at) const {
    const int64_t i = index_at(at);
    return i >= 0 && i < limit && (at == 0 || index_at(at - 1) != i);
  }
};

template <class T, class I>
__global__ void scatter_add_kernel_of(Shares shares, Walk<3> lines, Line<I> line, int64_t y_stride,
                                      int64_t source_stride, const T* source, T* y) {
  const int64_t all = shares.lines * shares.count;
  for (int64_t i = thread_in_grid(); i < all; i += threads_in_grid()) {
    const auto place = shares.place(i);
    const auto offset = lines.offsets(place.line);
    const Line<I> own{line.index + offset.at[2], line.order + offset.at[2], line.stride, line.count, line.limit};
    if (!own.heads(place.at)) continue;
    const int64_t index = own.index_at(place.at);
    T& to = y[offset.at[0] + index * y_stride];
    T sum = to;
    for (int64_t at = place.at; at < own.count && own.index_at(at) == index; ++at)
      sum += source[offset.at[1] + own.position(at) * source_stride];
    to = sum;
  }
}

template <class T, class I>
void add_lines(const ScatterAddArgs& args, Stream stream) {
  const Collapsed& g = args.lines;
  const bool line_fastest = g.stride[1][g.rank - 1] == 1 && g.extent[g.rank - 1] > 1;
  const int64_t all = g.numel * args.count;
  const Shares shares{g.numel, args.count, line_fastest, Divider(line_fastest ? g.numel : args.count, all)};
  Walk<3> lines = walk_of<3>(g, {{args.y, 1}, {args.source, 1}, {args.index, 1}}, 1);
  const Line<I> line{static_cast<const I*>(args.index), args.order, args.index_stride, args.count, args.limit};
  launch("scatter_add", scatter_add_kernel_of<T, I>, grid_for(all, stream), stream, shares, lines, line, args.y_stride,
         args.source_stride, static_cast<const T*>(args.source), static_cast<T*>(args.y));
}

template <class T>
void add(const ScatterAddArgs& args, Stream stream) {
  args.index_dtype == DType::i64 ? add_lines<T, int64_t>(args, stream) : add_lines<T, int32_t>(args, stream);
}

void scatter_add(const ScatterAddArgs& args, Stream stream) {
  switch (args.dtype) {
    case DType::f32:
      return add<float>(args, stream);
    case DType::f64:
      return add<double>(args, stream);
    case DType::i32:
      return add<int32_t>(args, stream);
    default:
      return add<int64_t>(args, stream);
  }
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(scatter_add_kernel, weft::cuda::scatter_add); }
