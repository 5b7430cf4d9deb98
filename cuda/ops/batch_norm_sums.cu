// The statistics of batch norm and the sums of its gradient. Chunks of rows are read once; a second kernel merges what
// they came to, in order.
#include "weft/cuda/columns.cuh"
#include "weft/tensor/ops/batch_norm.h"

namespace weft::cuda {
namespace {

/// Count, mean and sum of squared deviations. Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
/// computing sample variances", 1979.
template <class C>
struct Moments {
  struct Acc {
    C count, mean, squares;
  };
  __device__ static Acc none() { return {0, 0, 0}; }
  __device__ static Acc merge(const Acc& a, const Acc& b) {
    const C count = a.count + b.count;
    if (count == C(0)) return a;
    const C delta = b.mean - a.mean, share = b.count / count;
    return {count, a.mean + delta * share, a.squares + b.squares + delta * delta * a.count * share};
  }
};

template <class C>
struct TwoSums {
  struct Acc {
    C first, second;
  };
  __device__ static Acc none() { return {0, 0}; }
  __device__ static Acc merge(const Acc& a, const Acc& b) { return {a.first + b.first, a.second + b.second}; }
};

/// Two values of a chunk and channel: partials [chunks, 2, channels].
template <class C>
__device__ inline C* partial_at(C* partials, const Columns& columns, int64_t chunk, int64_t channel) {
  return partials + chunk * 2 * columns.channels + channel;
}

// A thread's rows of a chunk stay in registers: the deviations from the chunk's mean cost no second read.
template <class T>
__global__ void statistics_kernel(Columns columns, const T* x, Compute<T>* partials) {
  using C = Compute<T>;
  constexpr int most = static_cast<int>(batch_norm_chunk) * warp_size / reduce_threads;
  for (int64_t task = blockIdx.x; task < columns.chunks * columns.tiles; task += gridDim.x) {
    const auto place = columns.place(task);
    C value[most];
    C sum = 0, squares = 0;
#pragma unroll
    for (int k = 0; k < most; ++k) {
      const int64_t row = place.begin + columns.line() + k * columns.lines;
      value[k] = place.valid && row < place.end ? C(x[row * columns.channels + place.channel]) : C(0);
      sum += value[k];
    }
    const C mean = reduce_lines<Sum<C>>(sum, columns) / C(place.end - place.begin);
#pragma unroll
    for (int k = 0; k < most; ++k) {
      const bool exists = place.begin + columns.line() + k * columns.lines < place.end;
      const C deviation = exists ? value[k] - mean : C(0);
      squares += deviation * deviation;
    }
    squares = reduce_lines<Sum<C>>(squares, columns);
    if (columns.line() == 0 && place.valid) {
      C* out = partial_at(partials, columns, place.chunk, place.channel);
      out[0] = mean;
      out[columns.channels] = squares;
    }
  }
}

/// The second stage: here `columns` has the chunks as rows, in one chunk.
template <class C>
__global__ void merge_statistics_kernel(Columns columns, int64_t rows, const C* partials, C* mean, C* var) {
  using Wide = Moments<double>;
  for (int64_t task = blockIdx.x; task < columns.tiles; task += gridDim.x) {
    const auto place = columns.place(task);
    auto acc = Wide::none();
    for (int64_t chunk = columns.line(); place.valid && chunk < columns.rows; chunk += columns.lines) {
      const C* part = partial_at(partials, columns, chunk, place.channel);
      const int64_t count = smaller(batch_norm_chunk, rows - chunk * batch_norm_chunk);
      acc = Wide::merge(
          acc, {static_cast<double>(count), static_cast<double>(part[0]), static_cast<double>(part[columns.channels])});
    }
    acc = reduce_lines<Wide>(acc, columns);
    if (columns.line() == 0 && place.valid) {
      mean[place.channel] = C(acc.mean);
      var[place.channel] = C(acc.squares / acc.count);
    }
  }
}

template <class C>
__global__ void merge_sums_kernel(Columns columns, const C* partials, C* first, C* second) {
  using Wide = TwoSums<double>;
  for (int64_t task = blockIdx.x; task < columns.tiles; task += gridDim.x) {
    const auto place = columns.place(task);
    auto acc = Wide::none();
    for (int64_t chunk = columns.line(); place.valid && chunk < columns.rows; chunk += columns.lines) {
      const C* part = partial_at(partials, columns, chunk, place.channel);
      acc = Wide::merge(acc, {static_cast<double>(part[0]), static_cast<double>(part[columns.channels])});
    }
    acc = reduce_lines<Wide>(acc, columns);
    if (columns.line() == 0 && place.valid) {
      first[place.channel] = C(acc.first);
      second[place.channel] = C(acc.second);
    }
  }
}

template <class T>
__global__ void sums_kernel(Columns columns, const T* x, const T* dy, const T* y, const Compute<T>* mean,
                            const Compute<T>* inverse_std, Compute<T>* partials) {
  using C = Compute<T>;
  for (int64_t task = blockIdx.x; task < columns.chunks * columns.tiles; task += gridDim.x) {
    const auto place = columns.place(task);
    auto acc = TwoSums<C>::none();
    if (place.valid) {
      const C center = mean[place.channel], scale = inverse_std[place.channel];
#pragma unroll 4
      for (int64_t row = place.begin + columns.line(); row < place.end; row += columns.lines) {
        const int64_t i = row * columns.channels + place.channel;
        const C dz = !y || C(y[i]) > C(0) ? C(dy[i]) : C(0);
        acc.first += dz;
        acc.second += dz * ((C(x[i]) - center) * scale);
      }
    }
    acc = reduce_lines<TwoSums<C>>(acc, columns);
    if (columns.line() == 0 && place.valid) {
      C* out = partial_at(partials, columns, place.chunk, place.channel);
      out[0] = acc.first;
      out[columns.channels] = acc.second;
    }
  }
}

/// The merging kernels see the chunks as rows.
Columns second_stage(const Columns& columns) { return columns_of(columns.chunks, columns.channels, columns.chunks); }

void statistics(const BatchNormStatisticsArgs& args, Stream stream) {
  const Columns columns = columns_of(args.rows, args.channels, batch_norm_chunk);
  const Columns merged = second_stage(columns);
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    launch("batch_norm_statistics", statistics_kernel<T>, grid_for_columns(columns, stream), stream, columns,
           static_cast<const T*>(args.x), static_cast<C*>(args.partials));
    launch("batch_norm_statistics", merge_statistics_kernel<C>, grid_for_columns(merged, stream), stream, merged,
           args.rows, static_cast<const C*>(args.partials), static_cast<C*>(args.mean), static_cast<C*>(args.var));
  });
}

void sums(const BatchNormSumsArgs& args, Stream stream) {
  const Columns columns = columns_of(args.rows, args.channels, batch_norm_chunk);
  const Columns merged = second_stage(columns);
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    launch("batch_norm_sums", sums_kernel<T>, grid_for_columns(columns, stream), stream, columns,
           static_cast<const T*>(args.x), static_cast<const T*>(args.dy), static_cast<const T*>(args.y),
           static_cast<const C*>(args.mean), static_cast<const C*>(args.inverse_std), static_cast<C*>(args.partials));
    launch("batch_norm_sums", merge_sums_kernel<C>, grid_for_columns(merged, stream), stream, merged,
           static_cast<const C*>(args.partials), static_cast<C*>(args.sum_dz), static_cast<C*>(args.sum_dz_xh));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(batch_norm_statistics_kernel, weft::cuda::statistics);
  WEFT_PLUG(batch_norm_sums_kernel, weft::cuda::sums);
}
