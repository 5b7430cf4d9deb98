#include "weft/tensor/ops/resize.h"

#include "weft/tensor/cpu/lanes.h"

namespace weft {
namespace {

constexpr int64_t columns = 64;  // columns whose taps are worked out together, then used for every row of a piece
// Source columns, likewise, in the backward pass, each with the weights of `taps` outputs.
constexpr int64_t sources = 32;
constexpr int64_t taps = 32;
constexpr int64_t span = 4096;  // elements of a line between the two axes: it stays in the nearest cache
constexpr int64_t strip = 64;   // elements whose sums are kept side by side

/// to = (1 - share) a + share b over n elements side by side.
template <class From, class C, class To>
WEFT_INLINE void blend(const From* __restrict a, const From* __restrict b, C share, int64_t n, To* __restrict to) {
  const C rest = 1 - share;
  if constexpr (std::is_same_v<From, C> && std::is_same_v<To, C>) {
    if (n >= vec<C>)
      return for_vectors<C>(n, [&](int64_t k) { store_vec(to + k, rest * load_vec(a + k) + share * load_vec(b + k)); });
  }
  for (int64_t k = 0; k < n; ++k) to[k] = static_cast<To>(rest * static_cast<C>(a[k]) + share * static_cast<C>(b[k]));
}

/// Columns of outputs, and the elements of a source row that they take.
template <class C>
struct Outputs {
  int64_t count, from, extent;
  int64_t low[columns], high[columns];  // elements after `from`
  C right[columns];

  WEFT_INLINE void find(const ResizeAxis& axis, int64_t first, int64_t channels) {
    count = smaller(columns, axis.out - first);
    from = resize_tap(axis, first).low * channels;
    for (int64_t j = 0; j < count; ++j) {
      const ResizeTap tap = resize_tap(axis, first + j);
      low[j] = tap.low * channels - from;
      high[j] = tap.high * channels - from;
      right[j] = static_cast<C>(tap.weight);
    }
    extent = high[count - 1] + channels;
  }
};

// First between two rows of the source, then along the row: in a line where the columns lie close together, else for
// each column by itself.
template <class T>
void forward(const ResizeArgs& a) {
  using C = Compute<T>;
  const int64_t channels = a.channels, rows = a.h.out, width = a.w.in * channels;
  parallel_for(a.batch * rows, 1 + 16384 / (a.w.out * channels), [&](int64_t begin, int64_t end) {
    Outputs<C> out;
    C line[span], left[strip], right[strip];
    for (int64_t first = 0; first < a.w.out; first += columns) {
      out.find(a.w, first, channels);
      const bool close = out.extent <= span && out.extent <= 2 * out.count * channels;
      for (int64_t i = begin; i < end; ++i) {
        const ResizeTap tap = resize_tap(a.h, i % rows);
        const C down = static_cast<C>(tap.weight);
        const T* image = static_cast<const T*>(a.x) + i / rows * a.h.in * width + out.from;
        const T *upper = image + tap.low * width, *lower = image + tap.high * width;
        T* y = static_cast<T*>(a.y) + (i * a.w.out + first) * channels;
        if (close) blend(upper, lower, down, out.extent, line);
        for (int64_t j = 0; j < out.count; ++j, y += channels) {
          const int64_t low = out.low[j], high = out.high[j];
          if (close) {
            blend(line + low, line + high, out.right[j], channels, y);
            continue;
          }
          for (int64_t k = 0; k < channels; k += strip) {
            const int64_t m = smaller(strip, channels - k);
            blend(upper + low + k, lower + low + k, down, m, left);
            blend(upper + high + k, lower + high + k, down, m, right);
            blend(left, right, out.right[j], m, y + k);
          }
        }
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

/// to = sum over the outputs o that touch a source of weight(o) x[(o - first) step]: n elements side by side.
template <class T, class C, class To>
WEFT_INLINE void gather(const Touching<C>& along, int64_t first, const T* x, int64_t step, int64_t n, To* to) {
  const int64_t begin = along.range.begin, end = along.range.end;
  if (begin < end) x += (begin - first) * step;
  if constexpr (std::is_same_v<T, C> && std::is_same_v<To, C>) {
    if (n >= vec<C>) {  // sums stay in registers
      constexpr int64_t block = 4 * vec<C>;
      int64_t k = 0;
      for (; k + block <= n; k += block) {
        Vec<C> a = {}, b = {}, c = {}, d = {};
        const C* from = x + k;
        for (int64_t o = begin; o < end; ++o, from += step) {
          const C weight = along.weight(o);
          a += weight * load_vec(from);
          b += weight * load_vec(from + vec<C>);
          c += weight * load_vec(from + 2 * vec<C>);
          d += weight * load_vec(from + 3 * vec<C>);
        }
        store_vec(to + k, a);
        store_vec(to + k + vec<C>, b);
        store_vec(to + k + 2 * vec<C>, c);
        store_vec(to + k + 3 * vec<C>, d);
      }
      if (k == n) return;
      const int64_t back = smaller<int64_t>(k, larger<int64_t>(0, vec<C> - (n - k)));
      for_vectors<C>(n - k + back, [&](int64_t i) {
        Vec<C> sum = {};
        const C* from = x + k - back + i;
        for (int64_t o = begin; o < end; ++o, from += step) sum += along.weight(o) * load_vec(from);
        store_vec(to + k - back + i, sum);
      });
      return;
    }
  }
  for (int64_t k = 0; k < n; k += strip) {
    const int64_t m = smaller(strip, n - k);
    C sum[strip] = {};
    const T* from = x + k;
    for (int64_t o = begin; o < end; ++o, from += step) {
      const C weight = along.weight(o);
      for (int64_t i = 0; i < m; ++i) sum[i] += weight * static_cast<C>(from[i]);
    }
    for (int64_t i = 0; i < m; ++i) to[k + i] = static_cast<To>(sum[i]);
  }
}

/// Some columns of the source with the outputs that touch them: [from, to).
template <class C>
struct Sources {
  int64_t count, from, to;
  Touching<C> at[sources];

  /// From `first` on: as many as find room, with their outputs, in a line of `span`, at least one.
  WEFT_INLINE void find(const ResizeAxis& axis, int64_t first, int64_t channels) {
    count = smaller(sources, axis.in - first);
    for (int64_t j = 0; j < count; ++j) at[j].find(axis, first + j);
    for (;; count /= 2) {
      from = axis.out;
      to = 0;
      for (int64_t j = 0; j < count; ++j) {
        if (at[j].range.begin >= at[j].range.end) continue;
        from = smaller(from, at[j].range.begin);
        to = larger(to, at[j].range.end);
      }
      if (count == 1 || (to - from) * channels <= span) return;
    }
  }
};

/// The gradient of one source pixel by itself, in the order of backward().
template <class T, class C>
WEFT_INLINE void collect(const Touching<C>& down, const Touching<C>& across, const T* dy, int64_t row, int64_t channels,
                         T* dx) {
  for (int64_t c = 0; c < channels; c += strip) {
    const int64_t m = smaller(strip, channels - c);
    C sum[strip] = {}, part[strip];
    for (int64_t o = across.range.begin; o < across.range.end; ++o) {
      gather(down, 0, dy + o * channels + c, row, m, part);
      for (int64_t k = 0; k < m; ++k) sum[k] += across.weight(o) * part[k];
    }
    for (int64_t k = 0; k < m; ++k) dx[c + k] = static_cast<T>(sum[k]);
  }
}

// First down the rows of outputs, into a line; then along it.
template <class T>
void backward(const ResizeBackwardArgs& a) {
  using C = Compute<T>;
  const int64_t rows = a.h.in, touching = 4 + 4 * a.h.out * a.w.out / (a.h.in * a.w.in);
  const int64_t channels = a.channels, row = a.w.out * channels;
  parallel_for(a.batch * rows, 1 + 16384 / (a.w.in * channels * touching), [&](int64_t begin, int64_t end) {
    Touching<C> down;
    Sources<C> across;
    C line[span];
    for (int64_t first = 0; first < a.w.in; first += across.count) {
      across.find(a.w, first, channels);
      const int64_t extent = (across.to - across.from) * channels;
      for (int64_t i = begin; i < end; ++i) {
        down.find(a.h, i % rows);
        const T* dy = static_cast<const T*>(a.dy) + i / rows * a.h.out * row;
        T* dx = static_cast<T*>(a.dx) + (i * a.w.in + first) * channels;
        if (extent > 0 && extent <= span) gather(down, 0, dy + across.from * channels, row, extent, line);
        for (int64_t j = 0; j < across.count; ++j, dx += channels) {
          if (extent <= span)
            gather(across.at[j], across.from, line, channels, channels, dx);
          else
            collect(down, across.at[j], dy, row, channels, dx);
        }
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
