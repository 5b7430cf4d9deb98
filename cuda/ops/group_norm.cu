// Layer, group and instance norm: the statistics of a row, then its elements; a block per row where rows are long.
#include "weft/tensor/ops/group_norm.h"

#include "weft/cuda/rows.cuh"
#include "weft/tensor/math.h"

namespace weft::cuda {
namespace {

/// The channel of an element.
struct Channels {
  int64_t groups, per_row;
  Divider by_spatial;

  __device__ int64_t first(int64_t row) const { return row % groups * per_row; }
  __device__ int64_t of(int64_t first, int64_t i) const { return first + by_spatial(i).quotient; }
};

template <class T>
__global__ void forward_kernel(Rows rows, Channels channels, double eps, const T* x, const Compute<T>* gamma,
                               const Compute<T>* beta, Compute<T>* means, Compute<T>* inverse_stds, T* y) {
  using C = Compute<T>;
  const int lane = rows.lane();
  rows.for_each([&](int64_t row, int64_t base, bool valid) {
    const int64_t n = valid ? rows.n : 0;
    const C origin = valid ? C(x[base]) : C(0);  // so that a row far from zero loses nothing that matters
    C sum = 0, square = 0;
    for (int64_t i = lane; i < n; i += rows.lanes) sum += C(x[base + i]) - origin;
    const C mean = origin + reduce_lanes<Sum<C>>(sum, rows.lanes) / static_cast<C>(rows.n);
    for (int64_t i = lane; i < n; i += rows.lanes) {
      const C d = C(x[base + i]) - mean;
      square += d * d;
    }
    square = reduce_lanes<Sum<C>>(square, rows.lanes);
    const C r = static_cast<C>(1 / math::sqrt(static_cast<double>(square) / static_cast<double>(rows.n) + eps));
    if (valid && lane == 0) {
      means[row] = mean;
      inverse_stds[row] = r;
    }
    const int64_t first = channels.first(row);
    for (int64_t i = lane; i < n; i += rows.lanes) {
      const int64_t c = channels.of(first, i);
      y[base + i] = T((C(x[base + i]) - mean) * r * gamma[c] + beta[c]);
    }
  });
}

template <class T>
__global__ void backward_kernel(Rows rows, Channels channels, const T* x, const T* dy, const Compute<T>* gamma,
                                const Compute<T>* means, const Compute<T>* inverse_stds, T* dx) {
  using C = Compute<T>;
  const int lane = rows.lane();
  rows.for_each([&](int64_t row, int64_t base, bool valid) {
    const int64_t n = valid ? rows.n : 0, first = channels.first(row);
    const C mean = valid ? means[row] : C(0), r = valid ? inverse_stds[row] : C(0);
    C sum = 0, product = 0;
    for (int64_t i = lane; i < n; i += rows.lanes) {
      const C u = C(dy[base + i]) * gamma[channels.of(first, i)];
      sum += u;
      product += u * ((C(x[base + i]) - mean) * r);
    }
    const C constant = reduce_lanes<Sum<C>>(sum, rows.lanes) / static_cast<C>(rows.n);
    const C slope = reduce_lanes<Sum<C>>(product, rows.lanes) / static_cast<C>(rows.n);
    for (int64_t i = lane; i < n; i += rows.lanes) {
      const C u = C(dy[base + i]) * gamma[channels.of(first, i)], xh = (C(x[base + i]) - mean) * r;
      dx[base + i] = T(r * (u - constant - xh * slope));
    }
  });
}

Channels channels_of(const GroupNormGeometry& g) { return {g.groups, g.channels_of_row(), Divider(g.spatial, g.n())}; }

void forward(const GroupNormArgs& args, Stream stream) {
  const GroupNormGeometry& g = args.geometry;
  dispatch_floating(g.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const Rows rows = rows_of(g.rows, g.n(), 1);
    launch("group_norm", forward_kernel<T>, grid_for_rows(rows, stream), stream, rows, channels_of(g), args.eps,
           static_cast<const T*>(args.x), static_cast<const C*>(args.gamma), static_cast<const C*>(args.beta),
           static_cast<C*>(args.mean), static_cast<C*>(args.inverse_std), static_cast<T*>(args.y));
  });
}

void backward(const GroupNormBackwardArgs& args, Stream stream) {
  const GroupNormGeometry& g = args.geometry;
  dispatch_floating(g.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const Rows rows = rows_of(g.rows, g.n(), 1);
    launch("group_norm_backward", backward_kernel<T>, grid_for_rows(rows, stream), stream, rows, channels_of(g),
           static_cast<const T*>(args.x), static_cast<const T*>(args.dy), static_cast<const C*>(args.gamma),
           static_cast<const C*>(args.mean), static_cast<const C*>(args.inverse_std), static_cast<T*>(args.dx));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(group_norm_kernel, weft::cuda::forward);
  WEFT_PLUG(group_norm_backward_kernel, weft::cuda::backward);
}
