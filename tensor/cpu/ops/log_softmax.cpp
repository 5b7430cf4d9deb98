#include "weft/tensor/ops/log_softmax.h"

#include "weft/tensor/cpu/class_loops.h"

namespace weft {
namespace {

// y = (x - top) - log_sum
template <class T, class C>
WEFT_INLINE void lower(const C* x, C top, C log_sum, int64_t n, T* y) {
  if constexpr (std::is_same_v<T, C>) {
    for_vectors<C>(n, [&](int64_t i) { store_vec(y + i, load_vec(x + i) - top - log_sum); });
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(x[i] - top - log_sum);
  }
}

struct LogSoftmax {
  // Rows of n elements, vec <= n <= block. The exponentials of all of them run in one loop.
  template <class T>
  static WEFT_INLINE void rows(const T* x, T* y, int64_t count, int64_t n) {
    using C = Compute<T>;
    C buffer[block], e[block];
    const C* in = computable(x, count * n, buffer);
    for (int64_t r = 0; r < count; ++r) shift(in + r * n, top_of(in + r * n, n), n, e + r * n);
    exp_all(e, count * n);
    for (int64_t r = 0; r < count; ++r)
      lower(in + r * n, top_of(in + r * n, n), math::log(sum_of(e + r * n, n)), n, y + r * n);
  }

  // One row of more than a block.
  template <class T>
  static WEFT_INLINE void long_row(const T* x, T* y, int64_t n) {
    using C = Compute<T>;
    C buffer[block], e[block], top;
    const C log_sum = static_cast<C>(math::log(exp_sum(x, n, buffer, e, top)));
    for_blocks<C>(n, [&](int64_t i, int64_t m) { lower(computable(x + i, m, buffer), top, log_sum, m, y + i); });
  }

  // Positions side by side; the buffer keeps the classes between the passes if it has room for all.
  template <class T>
  static WEFT_INLINE void tile(const Tile<width>& at, const T* x, T* y, int64_t n, int64_t step) {
    using C = Compute<T>;
    const bool fits = n <= held;
    const int lanes = at.padded;
    C buffer[held * width], top[width], sum[width] = {};
    load_tops(at, x, n, step, buffer, top);
    const auto values = [&](int64_t c) {
      C* v = buffer + (fits ? c : 0) * width;
      if (!fits) at.load(x + c * step, v);
      return v;
    };
    for (int64_t c = 0; c < n; ++c) {
      const C* v = values(c);
      for (int k = 0; k < lanes; ++k) sum[k] += exp_below(v[k] - top[k]);
    }
    for (int k = 0; k < lanes; ++k) sum[k] = math::log(sum[k]);
    for (int64_t c = 0; c < n; ++c) {
      C* v = values(c);
      for (int k = 0; k < lanes; ++k) v[k] = v[k] - top[k] - sum[k];
      at.store(y + c * step, v);
    }
  }

  // One row, n >= vec; the sum in blocks.
  template <class T>
  static WEFT_INLINE void backward_row(const T* dy, const T* y, T* dx, int64_t n) {
    using C = Compute<T>;
    C buffer[block], e[block];
    double total = 0;
    for_blocks<C>(
        n, [&](int64_t i, int64_t m) { total += static_cast<double>(sum_of(computable(dy + i, m, buffer), m)); });
    const C s = static_cast<C>(total);
    for_blocks<C>(n, [&](int64_t i, int64_t m) {
      for (int64_t k = 0; k < m; ++k) e[k] = static_cast<C>(y[i + k]);
      exp_all(e, m);
      const C* g = computable(dy + i, m, buffer);
      for (int64_t k = 0; k < m; ++k) dx[i + k] = static_cast<T>(g[k] - e[k] * s);
    });
  }

  template <class T>
  static WEFT_INLINE void backward_tile(const Tile<width>& at, const T* dy, const T* y, T* dx, int64_t n,
                                        int64_t step) {
    using C = Compute<T>;
    const int lanes = at.padded;
    C sum[width] = {}, g[width], p[width];
    for (int64_t c = 0; c < n; ++c) {
      at.load(dy + c * step, g);
      for (int k = 0; k < lanes; ++k) sum[k] += g[k];
    }
    for (int64_t c = 0; c < n; ++c) {
      at.load(dy + c * step, g);
      at.load(y + c * step, p);
      for (int k = 0; k < lanes; ++k) g[k] -= math::exp(p[k]) * sum[k];
      at.store(dx + c * step, g);
    }
  }
};

void log_softmax(const LogSoftmaxArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { forward_classes<typename decltype(tag)::type, LogSoftmax>(args); });
}
void log_softmax_backward(const LogSoftmaxBackwardArgs& args, Stream) {
  dispatch_floating(args.dtype,
                    [&](auto tag) { backward_classes<typename decltype(tag)::type, LogSoftmax>(args, 8192); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(log_softmax_kernel, log_softmax);
  WEFT_PLUG(log_softmax_backward_kernel, log_softmax_backward);
}
