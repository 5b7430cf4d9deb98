#include "weft/tensor/ops/softmax.h"

#include "weft/tensor/cpu/exp_rows.h"

namespace weft {
namespace {

constexpr int width = 128;    // positions computed side by side where n is not the fastest dimension
constexpr int64_t held = 32;  // classes of such a tile that stay in a buffer between the passes

// Rows of n elements, vec <= n <= block. The exponentials of all of them run in one loop.
template <class T>
WEFT_INLINE void softmax_rows(const T* x, T* y, int64_t rows, int64_t n) {
  using C = Compute<T>;
  C buffer[block], e[block];
  const C* in = computable(x, rows * n, buffer);
  for (int64_t r = 0; r < rows; ++r) shift(in + r * n, top_of(in + r * n, n), n, e + r * n);
  exp_all(e, rows * n);
  for (int64_t r = 0; r < rows; ++r) scale(e + r * n, 1 / sum_of(e + r * n, n), n, y + r * n);
}

// One row of more than a block: the exponentials are computed twice.
template <class T>
WEFT_INLINE void softmax_long_row(const T* x, T* y, int64_t n) {
  using C = Compute<T>;
  C buffer[block], e[block], top;
  const C by = static_cast<C>(1 / exp_sum(x, n, buffer, e, top));
  for_blocks<C>(n, [&](int64_t i, int64_t m) {
    shift(computable(x + i, m, buffer), top, m, e);
    exp_all(e, m);
    scale(e, by, m, y + i);
  });
}

// Positions side by side. Between the passes the exponentials lie in the buffer if it has room for all classes, else in
// y if that is exact.
template <class T>
WEFT_INLINE void softmax_tile(const Tile<width>& tile, const T* x, T* y, int64_t n, int64_t step, Compute<T>* buffer) {
  using C = Compute<T>;
  const bool fits = n <= held;
  const int lanes = tile.padded;
  C top[width], sum[width] = {};
  for (int k = 0; k < width; ++k) top[k] = -std::numeric_limits<C>::infinity();
  for (int64_t c = 0; c < n; ++c) {
    C* v = buffer + (fits ? c : 0) * width;
    tile.load(x + c * step, v);
    for (int k = 0; k < lanes; ++k) top[k] = larger(top[k], v[k]);
  }
  const auto exponentials = [&](int64_t c) {
    C* v = buffer + (fits ? c : 0) * width;
    if (!fits) tile.load(x + c * step, v);
    for (int k = 0; k < lanes; ++k) v[k] = math::exp(v[k] - top[k]);
    return v;
  };
  for (int64_t c = 0; c < n; ++c) {
    const C* v = exponentials(c);
    if (std::is_same_v<T, C> && !fits) tile.store(y + c * step, v);
    for (int k = 0; k < lanes; ++k) sum[k] += v[k];
  }
  for (int k = 0; k < lanes; ++k) sum[k] = 1 / sum[k];
  for (int64_t c = 0; c < n; ++c) {
    C* v = buffer + (fits ? c : 0) * width;
    if (!fits && std::is_same_v<T, C>)
      tile.load(y + c * step, v);
    else if (!fits)
      exponentials(c);
    for (int k = 0; k < lanes; ++k) v[k] *= sum[k];
    tile.store(y + c * step, v);
  }
}

template <class T>
void forward(const SoftmaxArgs& a) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  const int64_t n = a.n;
  if (a.inner == 1 && n >= vec<Compute<T>>) {
    const int64_t rows = n <= block ? block / n : 1;
    parallel_for((a.outer + rows - 1) / rows, 1 + 8192 / (rows * n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin * rows; r < smaller(end * rows, a.outer); r += rows) {
        if (n <= block)
          softmax_rows(x + r * n, y + r * n, smaller(rows, a.outer - r), n);
        else
          softmax_long_row(x + r * n, y + r * n, n);
      }
    });
    return;
  }
  const Tiles<width> tiles{a.outer, n, a.inner};
  parallel_for(tiles.count(), 1 + 8192 / (n * width), [&](int64_t begin, int64_t end) {
    Compute<T> buffer[held * width];
    Tile<width> tile;
    for (int64_t i = begin; i < end; ++i) {
      tiles.locate(i, tile);
      softmax_tile(tile, x, y, n, a.inner, buffer);
    }
  });
}

// One row, n >= vec; the sum in blocks.
template <class T>
WEFT_INLINE void backward_row(const T* dy, const T* y, T* dx, int64_t n) {
  using C = Compute<T>;
  C g_buffer[block], y_buffer[block];
  double total = 0;
  for_blocks<C>(n, [&](int64_t i, int64_t m) {
    const C *g = computable(dy + i, m, g_buffer), *p = computable(y + i, m, y_buffer);
    total += static_cast<double>(sum_vectors<C>(m, [&](int64_t k) { return load_vec(g + k) * load_vec(p + k); }));
  });
  const C s = static_cast<C>(total);
  for_blocks<C>(n, [&](int64_t i, int64_t m) {
    const C *g = computable(dy + i, m, g_buffer), *p = computable(y + i, m, y_buffer);
    if constexpr (std::is_same_v<T, C>) {
      for_vectors<C>(m, [&](int64_t k) { store_vec(dx + i + k, load_vec(p + k) * (load_vec(g + k) - s)); });
    } else {
      for (int64_t k = 0; k < m; ++k) dx[i + k] = static_cast<T>(p[k] * (g[k] - s));
    }
  });
}

template <class T>
WEFT_INLINE void backward_tile(const Tile<width>& tile, const T* dy, const T* y, T* dx, int64_t n, int64_t step,
                               Compute<T>* g_buffer, Compute<T>* y_buffer) {
  using C = Compute<T>;
  const bool fits = n <= held;
  const int lanes = tile.padded;
  C sum[width] = {};
  for (int64_t c = 0; c < n; ++c) {
    C *g = g_buffer + (fits ? c : 0) * width, *p = y_buffer + (fits ? c : 0) * width;
    tile.load(dy + c * step, g);
    tile.load(y + c * step, p);
    for (int k = 0; k < lanes; ++k) sum[k] += g[k] * p[k];
  }
  for (int64_t c = 0; c < n; ++c) {
    C *g = g_buffer + (fits ? c : 0) * width, *p = y_buffer + (fits ? c : 0) * width;
    if (!fits) {
      tile.load(dy + c * step, g);
      tile.load(y + c * step, p);
    }
    for (int k = 0; k < lanes; ++k) p[k] *= g[k] - sum[k];
    tile.store(dx + c * step, p);
  }
}

template <class T>
void backward(const SoftmaxBackwardArgs& a) {
  const T* dy = static_cast<const T*>(a.dy);
  const T* y = static_cast<const T*>(a.y);
  T* dx = static_cast<T*>(a.dx);
  if (a.inner == 1 && a.n >= vec<Compute<T>>) {
    parallel_for(a.outer, 1 + 16384 / a.n, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) backward_row(dy + row * a.n, y + row * a.n, dx + row * a.n, a.n);
    });
    return;
  }
  const Tiles<width> tiles{a.outer, a.n, a.inner};
  parallel_for(tiles.count(), 1 + 16384 / (a.n * width), [&](int64_t begin, int64_t end) {
    Compute<T> g_buffer[held * width], y_buffer[held * width];
    Tile<width> tile;
    for (int64_t i = begin; i < end; ++i) {
      tiles.locate(i, tile);
      backward_tile(tile, dy, y, dx, a.n, a.inner, g_buffer, y_buffer);
    }
  });
}

void softmax(const SoftmaxArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { forward<typename decltype(tag)::type>(args); });
}
void softmax_backward(const SoftmaxBackwardArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(softmax_kernel, softmax);
  WEFT_PLUG(softmax_backward_kernel, softmax_backward);
}
