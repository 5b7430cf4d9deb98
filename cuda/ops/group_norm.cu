// Layer, group and instance norm: the statistics of a row, then its elements; a block per row where rows are long. Rows
// move in packs where their length and addresses allow it.
#include "weft/tensor/ops/group_norm.h"

#include "weft/cuda/row_part.cuh"
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

template <int N, class T>
__device__ inline void forward_row(const Rows& rows, const RowPart<T, N>& part, const Channels& channels, double eps,
                                   int64_t row, bool valid, const T* x, const Compute<T>* gamma, const Compute<T>* beta,
                                   Compute<T>* means, Compute<T>* inverse_stds, T* y) {
  using C = Compute<T>;
  const C origin = valid ? C(x[0]) : C(0);  // so that a row far from zero loses nothing that matters
  C sum = 0, square = 0;
  const auto load = [&](int64_t i) { return part.load(x, i); };
  part.for_all(load, [&](int64_t, const Pack<T, N>& pack) {
#pragma unroll
    for (int j = 0; j < N; ++j) sum += C(pack.v[j]) - origin;
  });
  const C mean = origin + reduce_lanes<Sum<C>>(sum, rows.lanes) / static_cast<C>(rows.n);
  part.for_all(load, [&](int64_t, const Pack<T, N>& pack) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const C d = C(pack.v[j]) - mean;
      square += d * d;
    }
  });
  square = reduce_lanes<Sum<C>>(square, rows.lanes);
  const C r = static_cast<C>(1 / math::sqrt(static_cast<double>(square) / static_cast<double>(rows.n) + eps));
  if (valid && rows.lane() == 0) {
    means[row] = mean;
    inverse_stds[row] = r;
  }
  const int64_t first = channels.first(row);
  part.for_all(load, [&](int64_t i, Pack<T, N> pack) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const int64_t c = channels.of(first, i + j);
      pack.v[j] = T((C(pack.v[j]) - mean) * r * gamma[c] + beta[c]);
    }
    part.store(y, i, pack);
  });
}

template <int N, class T>
__device__ inline void backward_row(const Rows& rows, const RowPart<T, N>& part, const Channels& channels, int64_t row,
                                    bool valid, const T* x, const T* dy, const Compute<T>* gamma,
                                    const Compute<T>* means, const Compute<T>* inverse_stds, T* dx) {
  using C = Compute<T>;
  const int64_t first = channels.first(row);
  const C mean = valid ? means[row] : C(0), r = valid ? inverse_stds[row] : C(0);
  C sum = 0, product = 0;
  using Two = Packs<T, 2, N>;  // of x and of dy
  const auto load = [&](int64_t i) { return Two{part.load(x, i), part.load(dy, i)}; };
  part.for_all(load, [&](int64_t i, const Two& both) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const C u = C(both.of[1].v[j]) * gamma[channels.of(first, i + j)];
      sum += u;
      product += u * ((C(both.of[0].v[j]) - mean) * r);
    }
  });
  const C constant = reduce_lanes<Sum<C>>(sum, rows.lanes) / static_cast<C>(rows.n);
  const C along = reduce_lanes<Sum<C>>(product, rows.lanes) / static_cast<C>(rows.n);
  part.for_all(load, [&](int64_t i, const Two& both) {
    Pack<T, N> slope;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const C u = C(both.of[1].v[j]) * gamma[channels.of(first, i + j)], xh = (C(both.of[0].v[j]) - mean) * r;
      slope.v[j] = T(r * (u - constant - xh * along));
    }
    part.store(dx, i, slope);
  });
}

template <class T>
__global__ void forward_kernel(Rows rows, RowAccess access, Channels channels, double eps, const T* x,
                               const Compute<T>* gamma, const Compute<T>* beta, Compute<T>* means,
                               Compute<T>* inverse_stds, T* y) {
  rows.for_each([&](int64_t row, int64_t base, bool valid) {
    with_row_part<T>(rows, access, valid, [&](const auto& part) {
      forward_row(rows, part, channels, eps, row, valid, x + base, gamma, beta, means, inverse_stds, y + base);
    });
  });
}

template <class T>
__global__ void backward_kernel(Rows rows, RowAccess access, Channels channels, const T* x, const T* dy,
                                const Compute<T>* gamma, const Compute<T>* means, const Compute<T>* inverse_stds,
                                T* dx) {
  rows.for_each([&](int64_t row, int64_t base, bool valid) {
    with_row_part<T>(rows, access, valid, [&](const auto& part) {
      backward_row(rows, part, channels, row, valid, x + base, dy + base, gamma, means, inverse_stds, dx + base);
    });
  });
}

Channels channels_of(const GroupNormGeometry& g) { return {g.groups, g.channels_of_row(), Divider(g.spatial, g.n())}; }

void forward(const GroupNormArgs& args, Stream stream) {
  const GroupNormGeometry& g = args.geometry;
  dispatch_floating(g.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const Rows rows = rows_of(g.rows, g.n(), 1, row_run<T>);
    const auto* x = static_cast<const T*>(args.x);
    auto* y = static_cast<T*>(args.y);
    launch("group_norm", forward_kernel<T>, grid_for_rows(rows, stream), stream, rows, access_of<T>(rows, x, y),
           channels_of(g), args.eps, x, static_cast<const C*>(args.gamma), static_cast<const C*>(args.beta),
           static_cast<C*>(args.mean), static_cast<C*>(args.inverse_std), y);
  });
}

void backward(const GroupNormBackwardArgs& args, Stream stream) {
  const GroupNormGeometry& g = args.geometry;
  dispatch_floating(g.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const Rows rows = rows_of(g.rows, g.n(), 1, row_run<T>);
    const auto* x = static_cast<const T*>(args.x);
    const auto* dy = static_cast<const T*>(args.dy);
    auto* dx = static_cast<T*>(args.dx);
    launch("group_norm_backward", backward_kernel<T>, grid_for_rows(rows, stream), stream, rows,
           access_of<T>(rows, x, dy, dx), channels_of(g), x, dy, static_cast<const C*>(args.gamma),
           static_cast<const C*>(args.mean), static_cast<const C*>(args.inverse_std), dx);
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(group_norm_kernel, weft::cuda::forward);
  WEFT_PLUG(group_norm_backward_kernel, weft::cuda::backward);
}
