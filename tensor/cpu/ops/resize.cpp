#include "weft/tensor/ops/resize.h"

#include "weft/tensor/cpu/loops.h"

namespace weft {
namespace {

constexpr int64_t columns = 64;  // columns whose taps are worked out together, then used for every row of a piece
// Source columns, likewise, in the backward pass, each with the weights of `taps` outputs.
constexpr int64_t sources = 32;
constexpr int64_t taps = 32;
constexpr int64_t strip = 64;  // channels whose sums are kept side by side

/// Four neighbours blended: first along the row, then between the rows.
template <class T>
WEFT_INLINE void blend(const T* __restrict a, const T* __restrict b, const T* __restrict c, const T* __restrict d,
                       Compute<T> right, Compute<T> down, int64_t channels, T* __restrict y) {
  using C = Compute<T>;
  const C left = 1 - right, up = 1 - down;
  for (int64_t k = 0; k < channels; ++k) {
    const C upper = left * static_cast<C>(a[k]) + right * static_cast<C>(b[k]);
    const C lower = left * static_cast<C>(c[k]) + right * static_cast<C>(d[k]);
    y[k] = static_cast<T>(up * upper + down * lower);
  }
}

template <class T>
void forward(const ResizeArgs& a) {
  using C = Compute<T>;
  const int64_t channels = a.channels, rows = a.h.out;
  parallel_for(a.batch * rows, 1 + 16384 / (a.w.out * channels), [&](int64_t begin, int64_t end) {
    for (int64_t first = 0; first < a.w.out; first += columns) {
      const int64_t count = smaller(columns, a.w.out - first);
      int64_t low[columns], high[columns];
      C right[columns];
      for (int64_t j = 0; j < count; ++j) {
        const ResizeTap tap = resize_tap(a.w, first + j);
        low[j] = tap.low * channels;
        high[j] = tap.high * channels;
        right[j] = static_cast<C>(tap.weight);
      }
      for (int64_t i = begin; i < end; ++i) {
        const ResizeTap tap = resize_tap(a.h, i % rows);
        const T* image = static_cast<const T*>(a.x) + i / rows * a.h.in * a.w.in * channels;
        const T *upper = image + tap.low * a.w.in * channels, *lower = image + tap.high * a.w.in * channels;
        T* y = static_cast<T*>(a.y) + (i * a.w.out + first) * channels;
        for (int64_t j = 0; j < count; ++j)
          blend(upper + low[j], upper + high[j], lower + low[j], lower + high[j], right[j], static_cast<C>(tap.weight),
                channels, y + j * channels);
      }
    }
  });
}

/// The outputs along one axis that touch source pixel i, and their weights: the first ones kept, others worked out when
/// asked for.
template <class C>
struct Touching {
  const ResizeAxis* axis;
  int64_t i;
  ResizeRange range;
  C kept[taps];

  WEFT_INLINE void find(const ResizeAxis& a, int64_t pixel) {
    axis = &a;
    i = pixel;
    range = resize_range(a, pixel);
    while (range.begin < range.end && resize_weight(a, range.begin, i) == 0) ++range.begin;
    while (range.begin < range.end && resize_weight(a, range.end - 1, i) == 0) --range.end;
    for (int64_t o = range.begin; o < smaller(range.end, range.begin + taps); ++o)
      kept[o - range.begin] = static_cast<C>(resize_weight(a, o, i));
  }
  WEFT_INLINE C weight(int64_t o) const {
    return o - range.begin < taps ? kept[o - range.begin] : static_cast<C>(resize_weight(*axis, o, i));
  }
};

/// The gradient of one source pixel: a sum over the outputs that touch it, in row-major order.
template <class T, class C>
WEFT_INLINE void collect(const ResizeBackwardArgs& a, const T* dy, const Touching<C>& rows, const Touching<C>& across,
                         T* dx) {
  for (int64_t c = 0; c < a.channels; c += strip) {
    const int64_t m = smaller(strip, a.channels - c);
    C sum[strip] = {};
    for (int64_t o = rows.range.begin; o < rows.range.end; ++o) {
      const C down = rows.weight(o);
      for (int64_t j = across.range.begin; j < across.range.end; ++j) {
        const C w = down * across.weight(j);
        const T* g = dy + (o * a.w.out + j) * a.channels + c;
        for (int64_t k = 0; k < m; ++k) sum[k] += w * static_cast<C>(g[k]);
      }
    }
    for (int64_t k = 0; k < m; ++k) dx[c + k] = static_cast<T>(sum[k]);
  }
}

template <class T>
void backward(const ResizeBackwardArgs& a) {
  using C = Compute<T>;
  const int64_t rows = a.h.in, touching = 4 + 4 * a.h.out * a.w.out / (a.h.in * a.w.in);
  parallel_for(a.batch * rows, 1 + 16384 / (a.w.in * a.channels * touching), [&](int64_t begin, int64_t end) {
    Touching<C> down, across[sources];
    for (int64_t first = 0; first < a.w.in; first += sources) {
      const int64_t count = smaller(sources, a.w.in - first);
      for (int64_t j = 0; j < count; ++j) across[j].find(a.w, first + j);
      for (int64_t i = begin; i < end; ++i) {
        down.find(a.h, i % rows);
        const T* dy = static_cast<const T*>(a.dy) + i / rows * a.h.out * a.w.out * a.channels;
        T* dx = static_cast<T*>(a.dx) + (i * a.w.in + first) * a.channels;
        for (int64_t j = 0; j < count; ++j) collect(a, dy, down, across[j], dx + j * a.channels);
      }
    }
  });
}

void resize(const ResizeArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { forward<typename decltype(tag)::type>(args); });
}
void resize_backward(const ResizeBackwardArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(resize_kernel, resize);
  WEFT_PLUG(resize_backward_kernel, resize_backward);
}
