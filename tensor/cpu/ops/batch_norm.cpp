#include "weft/tensor/ops/batch_norm.h"

#include "weft/tensor/cpu/loops.h"
#include "weft/tensor/math.h"

namespace weft {
namespace {

constexpr int64_t strip = 256;  // channels worked on at a time: their parameters and sums stay in the nearest cache

WEFT_INLINE int64_t chunks_of(int64_t rows) { return (rows + batch_norm_chunk - 1) / batch_norm_chunk; }

/// Calls body(first channel, count) for every strip.
template <class Body>
WEFT_INLINE void for_strips(int64_t channels, const Body& body) {
  for (int64_t c = 0; c < channels; c += strip) body(c, smaller(strip, channels - c));
}

/// Calls body(chunk, first row, rows, first channel, channels) for all parts of the data. The second pass over the same
/// data goes backwards: what the first one saw last is still in a cache.
template <bool second = false, class Body>
WEFT_INLINE void for_chunks(int64_t rows, int64_t channels, const Body& body) {
  parallel_for(chunks_of(rows), 1 + 32768 / (batch_norm_chunk * channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t chunk = second ? begin + end - 1 - i : i;
      const int64_t first = chunk * batch_norm_chunk;
      for_strips(channels,
                 [&](int64_t c, int64_t m) { body(chunk, first, smaller(batch_norm_chunk, rows - first), c, m); });
    }
  });
}

/// Adds up both halves of the partials over the chunks, in order, for strips of channels: body(first, count, sums,
/// sums).
template <class C, class Body>
WEFT_INLINE void for_totals(const void* partials, int64_t rows, int64_t channels, const Body& body) {
  const C* p = static_cast<const C*>(partials);
  for_strips(channels, [&](int64_t c, int64_t m) {
    double first[strip] = {}, second[strip] = {};
    for (int64_t chunk = 0; chunk < chunks_of(rows); ++chunk) {
      const C* at = p + 2 * chunk * channels + c;
      for (int64_t k = 0; k < m; ++k) first[k] += static_cast<double>(at[k]);
      for (int64_t k = 0; k < m; ++k) second[k] += static_cast<double>(at[channels + k]);
    }
    body(c, m, first, second);
  });
}

// Within a chunk deviations are taken from its first row: then their squares lose nothing that matters. Partials: the
// chunk's sum of values, and the sum of squared deviations from its own mean.
template <class T>
void chunk_statistics(const BatchNormStatisticsArgs& a) {
  using C = Compute<T>;
  const int64_t channels = a.channels;
  for_chunks(a.rows, channels, [&](int64_t chunk, int64_t first, int64_t rows, int64_t c, int64_t m) {
    C shift[strip], sum[strip] = {}, square[strip] = {};
    const T* x = static_cast<const T*>(a.x) + first * channels + c;
    for (int64_t k = 0; k < m; ++k) shift[k] = static_cast<C>(x[k]);
    for (int64_t r = 0; r < rows; ++r, x += channels) {
      for (int64_t k = 0; k < m; ++k) {
        const C d = static_cast<C>(x[k]) - shift[k];
        sum[k] += d;
        square[k] += d * d;
      }
    }
    C* out = static_cast<C*>(a.partials) + 2 * chunk * channels + c;
    const C n = static_cast<C>(rows);
    for (int64_t k = 0; k < m; ++k) out[k] = shift[k] + sum[k] / n;
    for (int64_t k = 0; k < m; ++k) out[channels + k] = larger(C(0), square[k] - sum[k] * (sum[k] / n));
  });
}

// Chan's formula: the squares around the chunks' means, and the squares of those means around the mean of all.
template <class C>
void merge_statistics(const BatchNormStatisticsArgs& a) {
  const C* p = static_cast<const C*>(a.partials);
  const double rows = static_cast<double>(a.rows);
  for_strips(a.channels, [&](int64_t c, int64_t m) {
    double mean[strip] = {}, square[strip] = {};
    const auto for_each = [&](const auto& body) {
      for (int64_t chunk = 0; chunk < chunks_of(a.rows); ++chunk) {
        const int64_t n = smaller(batch_norm_chunk, a.rows - chunk * batch_norm_chunk);
        const C* at = p + 2 * chunk * a.channels + c;
        for (int64_t k = 0; k < m; ++k) body(k, static_cast<double>(n), static_cast<double>(at[k]), at[a.channels + k]);
      }
    };
    for_each([&](int64_t k, double n, double chunk_mean, C) { mean[k] += n / rows * chunk_mean; });
    for_each([&](int64_t k, double n, double chunk_mean, C chunk_square) {
      square[k] += static_cast<double>(chunk_square) + n * ((chunk_mean - mean[k]) * (chunk_mean - mean[k]));
    });
    for (int64_t k = 0; k < m; ++k) static_cast<C*>(a.mean)[c + k] = static_cast<C>(mean[k]);
    for (int64_t k = 0; k < m; ++k) static_cast<C*>(a.var)[c + k] = static_cast<C>(square[k] / rows);
  });
}

template <class C>
void finish(const BatchNormFinishArgs& a) {
  const C* mean = static_cast<const C*>(a.mean);
  const C* var = static_cast<const C*>(a.var);
  if (a.inverse_std) {
    C* out = static_cast<C*>(a.inverse_std);
    for (int64_t c = 0; c < a.channels; ++c)
      out[c] = static_cast<C>(1 / math::sqrt(static_cast<double>(var[c]) + a.eps));
  }
  if (a.running_mean) {
    C* running_mean = static_cast<C*>(a.running_mean);
    C* running_var = static_cast<C*>(a.running_var);
    const double unbiased = a.count / (a.count - 1);
    const auto move = [&](C& running, double to) {
      running = static_cast<C>(static_cast<double>(running) + a.momentum * (to - static_cast<double>(running)));
    };
    for (int64_t c = 0; c < a.channels; ++c) {
      move(running_mean[c], static_cast<double>(mean[c]));
      move(running_var[c], static_cast<double>(var[c]) * unbiased);
    }
  }
}

template <class T, bool relu>
WEFT_INLINE void normalize_row(const T* __restrict x, T* __restrict y, int64_t m, const Compute<T>* mean,
                               const Compute<T>* factor, const Compute<T>* beta) {
  using C = Compute<T>;
  for (int64_t k = 0; k < m; ++k) {
    const C v = (static_cast<C>(x[k]) - mean[k]) * factor[k] + beta[k];
    y[k] = static_cast<T>(relu && v <= C(0) ? C(0) : v);
  }
}

template <class T, bool relu>
void normalize(const BatchNormArgs& a) {
  using C = Compute<T>;
  const auto vector = [](const void* v, int64_t c) { return static_cast<const C*>(v) + c; };
  for_chunks<true>(a.rows, a.channels, [&](int64_t, int64_t first, int64_t rows, int64_t c, int64_t m) {
    C mean[strip], factor[strip], beta[strip];
    for (int64_t k = 0; k < m; ++k) {
      mean[k] = vector(a.mean, c)[k];
      factor[k] = vector(a.inverse_std, c)[k] * vector(a.gamma, c)[k];
      beta[k] = vector(a.beta, c)[k];
    }
    for (int64_t i = first * a.channels + c; rows > 0; --rows, i += a.channels)
      normalize_row<T, relu>(static_cast<const T*>(a.x) + i, static_cast<T*>(a.y) + i, m, mean, factor, beta);
  });
}

// dz: dy where the output of a ReLU was positive. By bits: a choice would load dy only where it is wanted, one by one.
template <bool relu>
WEFT_INLINE float keep(float dy, float y) {
  const uint32_t mask = relu && !(y > 0.0f) ? 0u : ~0u;
  return __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, dy) & mask);
}
template <bool relu>
WEFT_INLINE double keep(double dy, double y) {
  const uint64_t mask = relu && !(y > 0.0) ? uint64_t{0} : ~uint64_t{0};
  return __builtin_bit_cast(double, __builtin_bit_cast(uint64_t, dy) & mask);
}

template <class T, bool relu>
void sums(const BatchNormSumsArgs& a) {
  using C = Compute<T>;
  const int64_t channels = a.channels;
  for_chunks(a.rows, channels, [&](int64_t chunk, int64_t first, int64_t rows, int64_t c, int64_t m) {
    C mean[strip], sum[strip] = {}, product[strip] = {};
    for (int64_t k = 0; k < m; ++k) mean[k] = static_cast<const C*>(a.mean)[c + k];
    for (int64_t i = first * channels + c; rows > 0; --rows, i += channels) {
      const T *x = static_cast<const T*>(a.x) + i, *dy = static_cast<const T*>(a.dy) + i;
      const T* y = relu ? static_cast<const T*>(a.y) + i : dy;
      for (int64_t k = 0; k < m; ++k) {
        const C dz = keep<relu>(static_cast<C>(dy[k]), static_cast<C>(y[k]));
        sum[k] += dz;
        product[k] += dz * (static_cast<C>(x[k]) - mean[k]);
      }
    }
    C* out = static_cast<C*>(a.partials) + 2 * chunk * channels + c;
    for (int64_t k = 0; k < m; ++k) out[k] = sum[k];
    for (int64_t k = 0; k < m; ++k) out[channels + k] = product[k] * static_cast<const C*>(a.inverse_std)[c + k];
  });
  for_totals<C>(a.partials, a.rows, channels, [&](int64_t c, int64_t m, const double* sum, const double* product) {
    for (int64_t k = 0; k < m; ++k) static_cast<C*>(a.sum_dz)[c + k] = static_cast<C>(sum[k]);
    for (int64_t k = 0; k < m; ++k) static_cast<C*>(a.sum_dz_xh)[c + k] = static_cast<C>(product[k]);
  });
}

template <class T, bool relu>
WEFT_INLINE void backward_row(const T* __restrict x, const T* __restrict dy, const T* __restrict y, T* __restrict dx,
                              int64_t m, const Compute<T>* mean, const Compute<T>* factor, const Compute<T>* constant,
                              const Compute<T>* slope) {
  using C = Compute<T>;
  for (int64_t k = 0; k < m; ++k) {
    const C dz = keep<relu>(static_cast<C>(dy[k]), static_cast<C>(y[k]));
    dx[k] = static_cast<T>(factor[k] * (dz - constant[k] - (static_cast<C>(x[k]) - mean[k]) * slope[k]));
  }
}

template <class T, bool relu>
void backward(const BatchNormBackwardArgs& a) {
  using C = Compute<T>;
  const auto vector = [](const void* v, int64_t c) { return static_cast<const C*>(v) + c; };
  const C share = static_cast<C>(1 / a.count);
  for_chunks<true>(a.rows, a.channels, [&](int64_t, int64_t first, int64_t rows, int64_t c, int64_t m) {
    C mean[strip], factor[strip], constant[strip] = {}, slope[strip] = {};
    for (int64_t k = 0; k < m; ++k) {
      mean[k] = vector(a.mean, c)[k];
      factor[k] = vector(a.inverse_std, c)[k] * vector(a.gamma, c)[k];
      if (!a.sum_dz) continue;
      constant[k] = vector(a.sum_dz, c)[k] * share;
      slope[k] = vector(a.sum_dz_xh, c)[k] * share * vector(a.inverse_std, c)[k];
    }
    for (int64_t i = first * a.channels + c; rows > 0; --rows, i += a.channels) {
      const T* dy = static_cast<const T*>(a.dy) + i;
      backward_row<T, relu>(static_cast<const T*>(a.x) + i, dy, relu ? static_cast<const T*>(a.y) + i : dy,
                            static_cast<T*>(a.dx) + i, m, mean, factor, constant, slope);
    }
  });
}

void batch_norm_statistics(const BatchNormStatisticsArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    chunk_statistics<typename decltype(tag)::type>(args);
    merge_statistics<Compute<typename decltype(tag)::type>>(args);
  });
}
void batch_norm_finish(const BatchNormFinishArgs& args, Stream) {
  if (args.dtype == DType::f64)
    finish<double>(args);
  else
    finish<float>(args);
}
void batch_norm(const BatchNormArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    args.relu ? normalize<T, true>(args) : normalize<T, false>(args);
  });
}
void batch_norm_sums(const BatchNormSumsArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    args.y ? sums<T, true>(args) : sums<T, false>(args);
  });
}
void batch_norm_backward(const BatchNormBackwardArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    args.y ? backward<T, true>(args) : backward<T, false>(args);
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(batch_norm_statistics_kernel, batch_norm_statistics);
  WEFT_PLUG(batch_norm_finish_kernel, batch_norm_finish);
  WEFT_PLUG(batch_norm_kernel, batch_norm);
  WEFT_PLUG(batch_norm_sums_kernel, batch_norm_sums);
  WEFT_PLUG(batch_norm_backward_kernel, batch_norm_backward);
}
