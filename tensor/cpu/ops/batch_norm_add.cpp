#include "weft/tensor/ops/batch_norm_add.h"

#include "weft/tensor/cpu/loops.h"

namespace weft {
namespace {

constexpr int64_t strip = 256;  // channels worked on at a time: their parameters stay in the nearest cache
constexpr int64_t chunk = 128;  // rows that use them, once they are there

template <class T, bool relu>
WEFT_INLINE void forward_row(const T* __restrict x, const T* __restrict residual, T* __restrict y, int64_t m,
                             const Compute<T>* mean, const Compute<T>* factor, const Compute<T>* beta) {
  using C = Compute<T>;
  for (int64_t k = 0; k < m; ++k) {
    const C v = (static_cast<C>(x[k]) - mean[k]) * factor[k] + beta[k] + static_cast<C>(residual[k]);
    y[k] = static_cast<T>(relu && v <= C(0) ? C(0) : v);
  }
}

template <class T, bool relu>
WEFT_INLINE void forward_strip(const BatchNormAddArgs& a, int64_t first, int64_t last, int64_t c, int64_t m) {
  using C = Compute<T>;
  const auto vector = [&](const void* v, int64_t k) { return static_cast<const C*>(v)[c + k]; };
  C mean[strip], factor[strip], beta[strip];
  for (int64_t k = 0; k < m; ++k) {
    mean[k] = vector(a.mean, k);
    factor[k] = vector(a.inverse_std, k) * vector(a.gamma, k);
    beta[k] = vector(a.beta, k);
  }
  for (int64_t row = first; row < last; ++row) {
    const int64_t i = row * a.channels + c;
    forward_row<T, relu>(static_cast<const T*>(a.x) + i, static_cast<const T*>(a.residual) + i,
                         static_cast<T*>(a.y) + i, m, mean, factor, beta);
  }
}

template <class T, bool relu>
void forward(const BatchNormAddArgs& a) {
  parallel_for((a.rows + chunk - 1) / chunk, 1 + 32768 / (chunk * a.channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t c = 0; c < a.channels; c += strip)
        forward_strip<T, relu>(a, i * chunk, smaller(a.rows, (i + 1) * chunk), c, smaller(strip, a.channels - c));
  });
}

template <class T>
void backward(const BatchNormAddBackwardArgs& a) {
  using C = Compute<T>;
  const T* dy = static_cast<const T*>(a.dy);
  const T* y = static_cast<const T*>(a.y);
  T* dz = static_cast<T*>(a.dz);
  parallel_for(a.numel, 32768, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const C value = static_cast<C>(dy[i]);
      dz[i] = static_cast<T>(static_cast<C>(y[i]) > C(0) ? value : C(0));
    }
  });
}

void batch_norm_add(const BatchNormAddArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    args.relu ? forward<T, true>(args) : forward<T, false>(args);
  });
}
void batch_norm_add_backward(const BatchNormAddBackwardArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(batch_norm_add_kernel, batch_norm_add);
  WEFT_PLUG(batch_norm_add_backward_kernel, batch_norm_add_backward);
}
