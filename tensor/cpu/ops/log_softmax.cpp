#include "weft/tensor/ops/log_softmax.h"

#include "weft/tensor/cpu/exp_rows.h"

namespace weft {
namespace {

constexpr int width = 128;    // positions computed side by side where n is not the fastest dimension
constexpr int64_t held = 32;  // classes of such a tile that stay in a buffer between the passes

// y = (x - top) - log_sum
template <class T, class C>
WEFT_INLINE void lower(const C* x, C top, C log_sum, int64_t n, T* y) {
  if constexpr (std::is_same_v<T, C>) {
    for_vectors<C>(n, [&](int64_t i) { store_vec(y + i, load_vec(x + i) - top - log_sum); });
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(x[i] - top - log_sum);
  }
}

// Rows of n elements, vec <= n <= block. The exponentials of all of them run in one loop.
template <class T>
WEFT_INLINE void forward_rows(const T* x, T* y, int64_t rows, int64_t n) {
  using C = Compute<T>;
  C buffer[block], e[block];
  const C* in = computable(x, rows * n, buffer);
  for (int64_t r = 0; r < rows; ++r) shift(in + r * n, top_of(in + r * n, n), n, e + r * n);
  exp_all(e, rows * n);
  for (int64_t r = 0; r < rows; ++r)
    lower(in + r * n, top_of(in + r * n, n), math::log(sum_of(e + r * n, n)), n, y + r * n);
}

// One row of more than a block.
template <class T>
WEFT_INLINE void forward_long_row(const T* x, T* y, int64_t n) {
  using C = Compute<T>;
  C buffer[block], e[block], top;
  const C log_sum = static_cast<C>(math::log(exp_sum(x, n, buffer, e, top)));
  for_blocks<C>(n, [&](int64_t i, int64_t m) { lower(computable(x + i, m, buffer), top, log_sum, m, y + i); });
}

// Positions side by side; the buffer keeps the classes between the passes if it has room for all.
template <class T>
WEFT_INLINE void forward_tile(const Tile<width>& tile, const T* x, T* y, int64_t n, int64_t step, Compute<T>* buffer) {
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
  const auto values = [&](int64_t c) {
    C* v = buffer + (fits ? c : 0) * width;
    if (!fits) tile.load(x + c * step, v);
    return v;
  };
  for (int64_t c = 0; c < n; ++c) {
    const C* v = values(c);
    for (int k = 0; k < lanes; ++k) sum[k] += math::exp(v[k] - top[k]);
  }
  for (int k = 0; k < lanes; ++k) sum[k] = math::log(sum[k]);
  for (int64_t c = 0; c < n; ++c) {
    C* v = values(c);
    for (int k = 0; k < lanes; ++k) v[k] = v[k] - top[k] - sum[k];
    tile.store(y + c * step, v);
  }
}

template <class T>
void forward(const LogSoftmaxArgs& a) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  const int64_t n = a.n;
  if (a.inner == 1 && n >= vec<Compute<T>>) {
    const int64_t rows = n <= block ? block / n : 1;
    parallel_for((a.outer + rows - 1) / rows, 1 + 8192 / (rows * n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin * rows; r < smaller(end * rows, a.outer); r += rows) {
        if (n <= block)
          forward_rows(x + r * n, y + r * n, smaller(rows, a.outer - r), n);
        else
          forward_long_row(x + r * n, y + r * n, n);
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
      forward_tile(tile, x, y, n, a.inner, buffer);
    }
  });
}

// One row, n >= vec; the sum in blocks.
template <class T>
WEFT_INLINE void backward_row(const T* dy, const T* y, T* dx, int64_t n) {
  using C = Compute<T>;
  C buffer[block], e[block];
  double total = 0;
  for_blocks<C>(n,
                [&](int64_t i, int64_t m) { total += static_cast<double>(sum_of(computable(dy + i, m, buffer), m)); });
  const C s = static_cast<C>(total);
  for_blocks<C>(n, [&](int64_t i, int64_t m) {
    for (int64_t k = 0; k < m; ++k) e[k] = static_cast<C>(y[i + k]);
    exp_all(e, m);
    const C* g = computable(dy + i, m, buffer);
    for (int64_t k = 0; k < m; ++k) dx[i + k] = static_cast<T>(g[k] - e[k] * s);
  });
}

template <class T>
WEFT_INLINE void backward_tile(const Tile<width>& tile, const T* dy, const T* y, T* dx, int64_t n, int64_t step) {
  using C = Compute<T>;
  const int lanes = tile.padded;
  C sum[width] = {}, g[width], p[width];
  for (int64_t c = 0; c < n; ++c) {
    tile.load(dy + c * step, g);
    for (int k = 0; k < lanes; ++k) sum[k] += g[k];
  }
  for (int64_t c = 0; c < n; ++c) {
    tile.load(dy + c * step, g);
    tile.load(y + c * step, p);
    for (int k = 0; k < lanes; ++k) g[k] -= math::exp(p[k]) * sum[k];
    tile.store(dx + c * step, g);
  }
}

template <class T>
void backward(const LogSoftmaxBackwardArgs& a) {
  const T* dy = static_cast<const T*>(a.dy);
  const T* y = static_cast<const T*>(a.y);
  T* dx = static_cast<T*>(a.dx);
  if (a.inner == 1 && a.n >= vec<Compute<T>>) {
    parallel_for(a.outer, 1 + 8192 / a.n, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) backward_row(dy + row * a.n, y + row * a.n, dx + row * a.n, a.n);
    });
    return;
  }
  const Tiles<width> tiles{a.outer, a.n, a.inner};
  parallel_for(tiles.count(), 1 + 8192 / (a.n * width), [&](int64_t begin, int64_t end) {
    Tile<width> tile;
    for (int64_t i = begin; i < end; ++i) {
      tiles.locate(i, tile);
      backward_tile(tile, dy, y, dx, a.n, a.inner);
    }
  });
}

void log_softmax(const LogSoftmaxArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { forward<typename decltype(tag)::type>(args); });
}
void log_softmax_backward(const LogSoftmaxBackwardArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(log_softmax_kernel, log_softmax);
  WEFT_PLUG(log_softmax_backward_kernel, log_softmax_backward);
}
