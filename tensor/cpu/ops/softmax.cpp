#include "weft/tensor/ops/softmax.h"

#include "weft/tensor/cpu/class_loops.h"

namespace weft {
namespace {

struct Softmax {
  // Rows of n elements, vec <= n <= block. The exponentials of all of them run in one loop.
  template <class T>
  static WEFT_INLINE void rows(const T* x, T* y, int64_t count, int64_t n) {
    using C = Compute<T>;
    C buffer[block], e[block];
    const C* in = computable(x, count * n, buffer);
    for (int64_t r = 0; r < count; ++r) shift(in + r * n, top_of(in + r * n, n), n, e + r * n);
    exp_all(e, count * n);
    for (int64_t r = 0; r < count; ++r) scale(e + r * n, 1 / sum_of(e + r * n, n), n, y + r * n);
  }

  // One row of more than a block: the exponentials are computed twice.
  template <class T>
  static WEFT_INLINE void long_row(const T* x, T* y, int64_t n) {
    using C = Compute<T>;
    C buffer[block], e[block], top;
    const C by = static_cast<C>(1 / exp_sum(x, n, buffer, e, top));
    for_blocks<C>(n, [&](int64_t i, int64_t m) {
      shift(computable(x + i, m, buffer), top, m, e);
      exp_all(e, m);
      scale(e, by, m, y + i);
    });
  }

  // Positions side by side. Between the passes the exponentials lie in the buffer if it has room for all classes, else
  // in y if that is exact.
  template <class T>
  static WEFT_INLINE void tile(const Tile<width>& at, const T* x, T* y, int64_t n, int64_t step) {
    using C = Compute<T>;
    const bool fits = n <= held;
    const int lanes = at.padded;
    C buffer[held * width], top[width], sum[width] = {};
    load_tops(at, x, n, step, buffer, top);
    const auto exponentials = [&](int64_t c) {
      C* v = buffer + (fits ? c : 0) * width;
      if (!fits) at.load(x + c * step, v);
      for (int k = 0; k < lanes; ++k) v[k] = exp_below(v[k] - top[k]);
      return v;
    };
    for (int64_t c = 0; c < n; ++c) {
      const C* v = exponentials(c);
      if (std::is_same_v<T, C> && !fits) at.store(y + c * step, v);
      for (int k = 0; k < lanes; ++k) sum[k] += v[k];
    }
    for (int k = 0; k < lanes; ++k) sum[k] = 1 / sum[k];
    for (int64_t c = 0; c < n; ++c) {
      C* v = buffer + (fits ? c : 0) * width;
      if (!fits && std::is_same_v<T, C>)
        at.load(y + c * step, v);
      else if (!fits)
        exponentials(c);
      for (int k = 0; k < lanes; ++k) v[k] *= sum[k];
      at.store(y + c * step, v);
    }
  }

  // One row, n >= vec; the sum in blocks.
  template <class T>
  static WEFT_INLINE void backward_row(const T* dy, const T* y, T* dx, int64_t n) {
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
  static WEFT_INLINE void backward_tile(const Tile<width>& at, const T* dy, const T* y, T* dx, int64_t n,
                                        int64_t step) {
    using C = Compute<T>;
    const bool fits = n <= held;
    const int lanes = at.padded;
    C g_buffer[held * width], y_buffer[held * width], sum[width] = {};
    for (int64_t c = 0; c < n; ++c) {
      C *g = g_buffer + (fits ? c : 0) * width, *p = y_buffer + (fits ? c : 0) * width;
      at.load(dy + c * step, g);
      at.load(y + c * step, p);
      for (int k = 0; k < lanes; ++k) sum[k] += g[k] * p[k];
    }
    for (int64_t c = 0; c < n; ++c) {
      C *g = g_buffer + (fits ? c : 0) * width, *p = y_buffer + (fits ? c : 0) * width;
      if (!fits) {
        at.load(dy + c * step, g);
        at.load(y + c * step, p);
      }
      for (int k = 0; k < lanes; ++k) p[k] *= g[k] - sum[k];
      at.store(dx + c * step, p);
    }
  }
};

void softmax(const SoftmaxArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { forward_classes<typename decltype(tag)::type, Softmax>(args); });
}
void softmax_backward(const SoftmaxBackwardArgs& args, Stream) {
  dispatch_floating(args.dtype,
                    [&](auto tag) { backward_classes<typename decltype(tag)::type, Softmax>(args, 16384); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(softmax_kernel, softmax);
  WEFT_PLUG(softmax_backward_kernel, softmax_backward);
}
