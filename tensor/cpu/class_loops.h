// How softmax and log-softmax walk the classes of all positions: rows where the classes are the fastest dimension, else
// tiles of positions side by side. Args: outer, n (classes), inner, and the pointers of the operation.
#pragma once

#include "weft/tensor/cpu/exp_rows.h"

namespace weft {
namespace {

inline constexpr int width = 128;    // positions computed side by side where n is not the fastest dimension
inline constexpr int64_t held = 32;  // classes of such a tile that stay in a buffer between the passes

/// Op::rows(x, y, count, n) for several rows of at most a block, Op::long_row(x, y, n), Op::tile(tile, x, y, n, step).
template <class T, class Op, class Args>
WEFT_INLINE void forward_classes(const Args& a) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  const int64_t n = a.n;
  if (a.inner == 1 && n >= vec<Compute<T>>) {
    const int64_t rows = n <= block ? block / n : 1;
    parallel_for((a.outer + rows - 1) / rows, 1 + 8192 / (rows * n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin * rows; r < smaller(end * rows, a.outer); r += rows) {
        if (n <= block)
          Op::rows(x + r * n, y + r * n, smaller(rows, a.outer - r), n);
        else
          Op::long_row(x + r * n, y + r * n, n);
      }
    });
    return;
  }
  const Tiles<width> tiles{a.outer, n, a.inner};
  parallel_for(tiles.count(), 1 + 8192 / (n * width), [&](int64_t begin, int64_t end) {
    Tile<width> tile;
    for (int64_t i = begin; i < end; ++i) {
      tiles.locate(i, tile);
      Op::tile(tile, x, y, n, a.inner);
    }
  });
}

/// Op::backward_row(dy, y, dx, n), Op::backward_tile(tile, dy, y, dx, n, step); `grain` elements are worth a thread.
template <class T, class Op, class Args>
WEFT_INLINE void backward_classes(const Args& a, int64_t grain) {
  const T* dy = static_cast<const T*>(a.dy);
  const T* y = static_cast<const T*>(a.y);
  T* dx = static_cast<T*>(a.dx);
  if (a.inner == 1 && a.n >= vec<Compute<T>>) {
    parallel_for(a.outer, 1 + grain / a.n, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) Op::backward_row(dy + row * a.n, y + row * a.n, dx + row * a.n, a.n);
    });
    return;
  }
  const Tiles<width> tiles{a.outer, a.n, a.inner};
  parallel_for(tiles.count(), 1 + grain / (a.n * width), [&](int64_t begin, int64_t end) {
    Tile<width> tile;
    for (int64_t i = begin; i < end; ++i) {
      tiles.locate(i, tile);
      Op::backward_tile(tile, dy, y, dx, a.n, a.inner);
    }
  });
}

/// The largest class of each position. A buffer that has room for all classes keeps them, else it holds the last one.
template <class T>
WEFT_INLINE void load_tops(const Tile<width>& tile, const T* x, int64_t n, int64_t step, Compute<T>* buffer,
                           Compute<T>* top) {
  using C = Compute<T>;
  for (int k = 0; k < width; ++k) top[k] = -std::numeric_limits<C>::infinity();
  for (int64_t c = 0; c < n; ++c) {
    C* v = buffer + (n <= held ? c : 0) * width;
    tile.load(x + c * step, v);
    tile.prefetch_next(x + c * step);
    for (int k = 0; k < tile.padded; ++k) top[k] = larger(top[k], v[k]);
  }
}

}  // namespace
}  // namespace weft
