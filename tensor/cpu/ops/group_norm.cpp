#include "weft/tensor/ops/group_norm.h"

#include "weft/tensor/cpu/loops.h"
#include "weft/tensor/math.h"

namespace weft {
namespace {

constexpr int64_t block = 4096;  // elements added up in the compute type, before double takes over
constexpr int lanes = 16;

/// The sum of value(i) over [0, n), in the same order for every instruction set.
template <class C, class Value>
WEFT_INLINE double sum_over(int64_t n, const Value& value) {
  double total = 0;
  for (int64_t first = 0; first < n; first += block) {
    const int64_t end = smaller(first + block, n);
    C sum[lanes] = {};
    int64_t i = first;
    for (; i + lanes <= end; i += lanes)
      for (int k = 0; k < lanes; ++k) sum[k] += value(i + k);
    for (int k = 0; i + k < end; ++k) sum[k] += value(i + k);
    for (int k = 0; k < lanes; ++k) total += static_cast<double>(sum[k]);
  }
  return total;
}

/// Calls body(first, count, channel, each) for runs of elements: element first + i belongs to `channel`, or, where each
/// element is a channel of its own, to channel + i.
template <class Body>
WEFT_INLINE void for_runs(const GroupNormGeometry& g, int64_t row, const Body& body) {
  const int64_t channels = g.channels_of_row(), first = row % g.groups * channels;
  if (g.spatial == 1) return body(int64_t{0}, channels, first, std::true_type{});
  for (int64_t c = 0; c < channels; ++c) body(c * g.spatial, g.spatial, first + c, std::false_type{});
}

template <class T>
WEFT_INLINE void forward_row(const GroupNormArgs& a, int64_t row) {
  using C = Compute<T>;
  const int64_t n = a.geometry.n();
  const T* x = static_cast<const T*>(a.x) + row * n;
  T* y = static_cast<T*>(a.y) + row * n;
  const C* gamma = static_cast<const C*>(a.gamma);
  const C* beta = static_cast<const C*>(a.beta);
  // Around the first element, so that a row far from zero loses nothing that matters.
  const C origin = static_cast<C>(x[0]);
  const double shift = sum_over<C>(n, [&](int64_t i) { return static_cast<C>(x[i]) - origin; });
  const C mean = static_cast<C>(static_cast<double>(origin) + shift / static_cast<double>(n));
  const double square = sum_over<C>(n, [&](int64_t i) {
    const C d = static_cast<C>(x[i]) - mean;
    return d * d;
  });
  const C r = static_cast<C>(1 / math::sqrt(square / static_cast<double>(n) + a.eps));
  static_cast<C*>(a.mean)[row] = mean;
  static_cast<C*>(a.inverse_std)[row] = r;
  for_runs(a.geometry, row, [&](int64_t first, int64_t count, int64_t channel, auto each) {
    const int64_t step = each.value ? 1 : 0;
    for (int64_t i = 0; i < count; ++i) {
      const C scale = gamma[channel + i * step], offset = beta[channel + i * step];
      y[first + i] = static_cast<T>((static_cast<C>(x[first + i]) - mean) * r * scale + offset);
    }
  });
}

template <class T>
WEFT_INLINE void backward_row(const GroupNormBackwardArgs& a, int64_t row) {
  using C = Compute<T>;
  const int64_t n = a.geometry.n();
  const T* x = static_cast<const T*>(a.x) + row * n;
  const T* dy = static_cast<const T*>(a.dy) + row * n;
  T* dx = static_cast<T*>(a.dx) + row * n;
  const C* gamma = static_cast<const C*>(a.gamma);
  const C mean = static_cast<const C*>(a.mean)[row], r = static_cast<const C*>(a.inverse_std)[row];
  double sum = 0, product = 0;
  for_runs(a.geometry, row, [&](int64_t first, int64_t count, int64_t channel, auto each) {
    const int64_t step = each.value ? 1 : 0;
    const auto u = [&](int64_t i) { return static_cast<C>(dy[first + i]) * gamma[channel + i * step]; };
    sum += sum_over<C>(count, u);
    product += sum_over<C>(count, [&](int64_t i) { return u(i) * ((static_cast<C>(x[first + i]) - mean) * r); });
  });
  const C constant = static_cast<C>(sum / static_cast<double>(n)),
          slope = static_cast<C>(product / static_cast<double>(n));
  for_runs(a.geometry, row, [&](int64_t first, int64_t count, int64_t channel, auto each) {
    const int64_t step = each.value ? 1 : 0;
    for (int64_t i = 0; i < count; ++i) {
      const C u = static_cast<C>(dy[first + i]) * gamma[channel + i * step];
      const C xh = (static_cast<C>(x[first + i]) - mean) * r;
      dx[first + i] = static_cast<T>(r * (u - constant - xh * slope));
    }
  });
}

template <class Body>
WEFT_INLINE void for_rows(const GroupNormGeometry& g, const Body& body) {
  parallel_for(g.rows, 1 + 8192 / g.n(), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

void group_norm(const GroupNormArgs& args, Stream) {
  dispatch_floating(args.geometry.dtype, [&](auto tag) {
    for_rows(args.geometry, [&](int64_t row) { forward_row<typename decltype(tag)::type>(args, row); });
  });
}
void group_norm_backward(const GroupNormBackwardArgs& args, Stream) {
  dispatch_floating(args.geometry.dtype, [&](auto tag) {
    for_rows(args.geometry, [&](int64_t row) { backward_row<typename decltype(tag)::type>(args, row); });
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(group_norm_kernel, group_norm);
  WEFT_PLUG(group_norm_backward_kernel, group_norm_backward);
}
