// Bilinear resize. Positions and weights of an axis are worked out once, into a table. A block takes a piece of a line
// of the image, whose elements lie side by side: what belongs to the line is found once. The gradient is gathered in a
// fixed order, along h and then along w, which needs far fewer reads than both at once.
#include "weft/tensor/ops/resize.h"

#include "weft/cuda/divide.cuh"
#include "weft/cuda/launch.cuh"
#include "weft/cuda/pack.cuh"
#include "weft/cuda/workspace.h"

namespace weft::cuda {
namespace {

constexpr int line_threads = 256, line_packs = 4;  // packs of a thread, so that their loads are in flight together

/// Lines of `length` elements, cut into tasks of a block each; packs of `pack` elements divide the lines.
struct Lines {
  int64_t length, tasks;
  Divider by_tiles;  ///< task -> line, tile
  Divider by_lines;  ///< line -> image, line of the image
  int pack;

  /// Calls body(element) for this thread's packs of a tile.
  template <class Body>
  __device__ void for_each(int64_t tile, const Body& body) const {
    const int64_t first = tile * line_threads * line_packs;
#pragma unroll
    for (int k = 0; k < line_packs; ++k) {
      const int64_t element = (first + k * line_threads + static_cast<int>(threadIdx.x)) * pack;
      if (element < length) body(element);
    }
  }
};

Lines lines_of(int64_t batch, int64_t lines, int64_t length, int pack) {
  const int64_t tile = int64_t{line_threads} * line_packs * pack, tiles = (length + tile - 1) / tile;
  const int64_t all = batch * lines;
  return {length, all * tiles, Divider(tiles, all * tiles), Divider(lines, all), pack};
}

Grid grid_for_lines(const Lines& lines, Stream stream) {
  return grid_for(lines.tasks * line_threads, stream, line_threads);
}

/// What ResizeTap holds, in the type that blends.
template <class C>
struct Tap {
  int64_t low, high;
  C weight;
};

/// Taps of every output along h, then along w; ranges of outputs of every source pixel likewise.
template <class C>
__global__ void taps_kernel(ResizeAxis h, ResizeAxis w, Tap<C>* taps, ResizeRange* ranges) {
  for (int64_t o = thread_in_grid(); o < h.out + w.out; o += threads_in_grid()) {
    const ResizeTap tap = o < h.out ? resize_tap(h, o) : resize_tap(w, o - h.out);
    taps[o] = {tap.low, tap.high, static_cast<C>(tap.weight)};
  }
  if (!ranges) return;
  for (int64_t i = thread_in_grid(); i < h.in + w.in; i += threads_in_grid())
    ranges[i] = i < h.in ? resize_range(h, i) : resize_range(w, i - h.in);
}

/// y, by its lines; taps: of h, then of w.
template <int N, class T>
__global__ void resize_kernel_of(Lines lines, Divider by_channels, int64_t channels, Pair in, const Tap<Compute<T>>* h,
                                 const Tap<Compute<T>>* w, const T* x, T* y) {
  using C = Compute<T>;
  for (int64_t task = blockIdx.x; task < lines.tasks; task += gridDim.x) {
    const auto [line, tile] = lines.by_tiles(task);
    const auto [image, row] = lines.by_lines(line);
    const Tap<C> down = h[row];
    const T* above = x + (image * in.h + down.low) * in.w * channels;
    const T* below = x + (image * in.h + down.high) * in.w * channels;
    lines.for_each(tile, [&, to = y + line * lines.length](int64_t element) {
      const auto [column, channel] = by_channels(element);
      const Tap<C> across = w[column];
      const int64_t left = across.low * channels + channel, right = across.high * channels + channel;
      const auto a = load_as<Pack<T, N>>(above + left), b = load_as<Pack<T, N>>(above + right);
      const auto c = load_as<Pack<T, N>>(below + left), d = load_as<Pack<T, N>>(below + right);
      Pack<T, N> result;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const C top = (1 - across.weight) * C(a.v[j]) + across.weight * C(b.v[j]);
        const C bottom = (1 - across.weight) * C(c.v[j]) + across.weight * C(d.v[j]);
        result.v[j] = T((1 - down.weight) * top + down.weight * bottom);
      }
      store_as(to + element, result);
    });
  }
}

/// The weight that an output gives to source pixel i, as resize_weight.
template <class C>
__device__ inline C weight_of(const Tap<C>& tap, int64_t i) {
  return (tap.low == i ? 1 - tap.weight : C(0)) + (tap.high == i ? tap.weight : C(0));
}

/// Along h: dy [batch, h.out, length] -> sums [batch, h.in, length], by the lines of `sums`.
template <int N, class T>
__global__ void resize_backward_rows_kernel(Lines lines, int64_t out, const Tap<Compute<T>>* taps,
                                            const ResizeRange* ranges, const T* dy, Compute<T>* sums) {
  using C = Compute<T>;
  for (int64_t task = blockIdx.x; task < lines.tasks; task += gridDim.x) {
    const auto [line, tile] = lines.by_tiles(task);
    const auto [image, row] = lines.by_lines(line);
    const ResizeRange range = ranges[row];
    const T* from = dy + image * out * lines.length;
    lines.for_each(tile, [&, i = row, to = sums + line * lines.length](int64_t element) {
      Pack<C, N> sum = splat<C, N>(C(0));
#pragma unroll 4
      for (int64_t o = range.begin; o < range.end; ++o) {
        const C weight = weight_of(taps[o], i);
        if (weight == C(0)) continue;
        const auto pack = load_as<Pack<T, N>>(from + o * lines.length + element);
#pragma unroll
        for (int j = 0; j < N; ++j) sum.v[j] += weight * C(pack.v[j]);
      }
      store_as(to + element, sum);
    });
  }
}

/// Along w: sums [lines, out, channels] -> dx [lines, in, channels], by the lines of dx.
template <int N, class T>
__global__ void resize_backward_columns_kernel(Lines lines, Divider by_channels, int64_t out, int64_t channels,
                                               const Tap<Compute<T>>* taps, const ResizeRange* ranges,
                                               const Compute<T>* sums, T* dx) {
  using C = Compute<T>;
  for (int64_t task = blockIdx.x; task < lines.tasks; task += gridDim.x) {
    const auto [line, tile] = lines.by_tiles(task);
    const C* from = sums + line * out * channels;
    lines.for_each(tile, [&, to = dx + line * lines.length](int64_t element) {
      const auto [i, channel] = by_channels(element);
      const ResizeRange range = ranges[i];
      C sum[N] = {};
#pragma unroll 4
      for (int64_t o = range.begin; o < range.end; ++o) {
        const C weight = weight_of(taps[o], i);
        if (weight == C(0)) continue;
        const auto pack = load_as<Pack<C, N>>(from + o * channels + channel);
#pragma unroll
        for (int j = 0; j < N; ++j) sum[j] += weight * pack.v[j];
      }
      Pack<T, N> result;
#pragma unroll
      for (int j = 0; j < N; ++j) result.v[j] = T(sum[j]);
      store_as(to + element, result);
    });
  }
}

/// The tables of both axes, for the length of a launcher.
template <class C>
class Tables {
 public:
  Tables(const ResizeAxis& h, const ResizeAxis& w, bool backward, Stream stream)
      : taps_(static_cast<size_t>(h.out + w.out) * sizeof(Tap<C>), stream),
        ranges_(backward ? static_cast<size_t>(h.in + w.in) * sizeof(ResizeRange) : 0, stream),
        h_(h) {
    auto* const ranges = backward ? static_cast<ResizeRange*>(ranges_.data()) : nullptr;
    launch("resize", taps_kernel<C>, grid_for(h.out + w.out + h.in + w.in, stream), stream, h, w,
           static_cast<Tap<C>*>(taps_.data()), ranges);
  }
  const Tap<C>* h() const { return static_cast<const Tap<C>*>(taps_.data()); }
  const Tap<C>* w() const { return h() + h_.out; }
  const ResizeRange* ranges_h() const { return static_cast<const ResizeRange*>(ranges_.data()); }
  const ResizeRange* ranges_w() const { return ranges_h() + h_.in; }

 private:
  Workspace taps_, ranges_;
  ResizeAxis h_;
};

void resize(const ResizeArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Tables<Compute<T>> tables(args.h, args.w, false, stream);
    with_pack<T>(args.channels, holds_packs<T>(args.x, args.y), [&](auto n) {
      const Lines lines = lines_of(args.batch, args.h.out, args.w.out * args.channels, n);
      launch("resize", resize_kernel_of<n, T>, grid_for_lines(lines, stream), stream, lines,
             Divider(args.channels, lines.length), args.channels, Pair(args.h.in, args.w.in), tables.h(), tables.w(),
             static_cast<const T*>(args.x), static_cast<T*>(args.y));
    });
  });
}

void resize_backward(const ResizeBackwardArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const Tables<C> tables(args.h, args.w, true, stream);
    const int64_t width = args.w.out * args.channels;
    const Workspace memory(static_cast<size_t>(args.batch * args.h.in * width) * sizeof(C), stream);
    auto* const sums = static_cast<C*>(memory.data());
    with_pack<T>(width, holds_packs<T>(args.dy), [&](auto n) {
      const Lines lines = lines_of(args.batch, args.h.in, width, n);
      launch("resize_backward", resize_backward_rows_kernel<n, T>, grid_for_lines(lines, stream), stream, lines,
             args.h.out, tables.h(), tables.ranges_h(), static_cast<const T*>(args.dy), sums);
    });
    with_pack<T>(args.channels, holds_packs<T>(args.dx), [&](auto n) {
      const Lines lines = lines_of(args.batch, args.h.in, args.w.in * args.channels, n);
      launch("resize_backward", resize_backward_columns_kernel<n, T>, grid_for_lines(lines, stream), stream, lines,
             Divider(args.channels, lines.length), args.w.out, args.channels, tables.w(), tables.ranges_w(),
             static_cast<const C*>(sums), static_cast<T*>(args.dx));
    });
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(resize_kernel, weft::cuda::resize);
  WEFT_PLUG(resize_backward_kernel, weft::cuda::resize_backward);
}
