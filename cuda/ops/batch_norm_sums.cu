// The statistics of batch norm and the sums of its gradient. Chunks of rows are read once, in packs of channels where
// addresses allow it; a second kernel merges what they came to, in order.
#include "weft/tensor/ops/batch_norm.h"

#include "weft/cuda/columns.cuh"

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

constexpr int most_lanes = 16;       // of packs: lines of 256 bytes of f32
constexpr int most_merge_lanes = 8;  // few, so that many blocks share the merging of few channels
/// Rows of a chunk that a thread takes at most.
constexpr int most_rows = static_cast<int>(batch_norm_chunk) * most_lanes / reduce_threads;

/// The k-th of a thread's rows of a chunk: elements of x, zeros past the chunk's end and past the channels. `wide`:
/// rows hold packs.
template <bool wide, class T>
__device__ inline Pack<T> load_row(const Columns& columns, const Columns::Place& place, const T* x, int k) {
  const int64_t row = place.begin + columns.line() + k * columns.lines, i = row * columns.channels + place.channel;
  Pack<T> pack = {};
  if (!place.valid || row >= place.end) return pack;
  if constexpr (wide) {
    pack = load_as<Pack<T>>(x + i);
  } else {
#pragma unroll
    for (int j = 0; j < pack_size<T>; ++j)
      if (place.channel + j < columns.channels) pack.v[j] = x[i + j];
  }
  return pack;
}

// A thread's rows of a chunk stay in registers: all are on their way at once, and the deviations from the chunk's mean
// cost no second read.
template <class T>
__global__ void statistics_kernel(Columns columns, bool wide, const T* x, Compute<T>* partials) {
  using C = Compute<T>;
  constexpr int N = pack_size<T>;
  using Sums = Each<Sum<C>, N>;
  for (int64_t task = blockIdx.x; task < columns.chunks * columns.tiles; task += gridDim.x) {
    const auto place = columns.place(task);
    Pack<T> value[most_rows];
    with_bool(wide, [&](auto packed) {
#pragma unroll
      for (int k = 0; k < most_rows; ++k) value[k] = load_row<packed>(columns, place, x, k);
    });
    auto mean = Sums::none();
#pragma unroll
    for (int k = 0; k < most_rows; ++k)
#pragma unroll
      for (int j = 0; j < N; ++j) mean.v[j] += C(value[k].v[j]);
    mean = reduce_lines<Sums>(mean, columns);
#pragma unroll
    for (int j = 0; j < N; ++j) mean.v[j] /= C(place.end - place.begin);
    auto squares = Sums::none();
#pragma unroll
    for (int k = 0; k < most_rows; ++k) {
      if (place.begin + columns.line() + k * columns.lines >= place.end) break;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const C deviation = C(value[k].v[j]) - mean.v[j];
        squares.v[j] += deviation * deviation;
      }
    }
    squares = reduce_lines<Sums>(squares, columns);
    if (columns.line() != 0) continue;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      if (place.channel + j >= columns.channels) break;
      C* out = partial_at(partials, columns, place.chunk, place.channel + j);
      out[0] = mean.v[j];
      out[columns.channels] = squares.v[j];
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
#pragma unroll 4
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
#pragma unroll 4
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

/// Values of the channels of a pack.
template <int N, class C>
__device__ inline Pack<C, N> channels_from(const C* values, const Columns& columns, int64_t channel) {
  return load4<C, N>(values, channel, columns.channels, false);
}

template <class T>
__global__ void sums_kernel(Columns columns, bool wide, const T* x, const T* dy, const T* y, const Compute<T>* mean,
                            const Compute<T>* inverse_std, Compute<T>* partials) {
  using C = Compute<T>;
  constexpr int N = pack_size<T>;
  using Sums = Each<TwoSums<C>, N>;
  for (int64_t task = blockIdx.x; task < columns.chunks * columns.tiles; task += gridDim.x) {
    const auto place = columns.place(task);
    const auto center = channels_from<N>(mean, columns, place.channel);
    const auto scale = channels_from<N>(inverse_std, columns, place.channel);
    auto acc = Sums::none();
    with_bool(wide, [&](auto packed) {
#pragma unroll 4
      for (int k = 0; k < most_rows; ++k) {
        const auto slope = load_row<packed>(columns, place, dy, k), input = load_row<packed>(columns, place, x, k);
        Pack<T> output = {};
        if (y) output = load_row<packed>(columns, place, y, k);
#pragma unroll
        for (int j = 0; j < N; ++j) {
          const C dz = !y || C(output.v[j]) > C(0) ? C(slope.v[j]) : C(0);
          acc.v[j].first += dz;
          acc.v[j].second += dz * ((C(input.v[j]) - center.v[j]) * scale.v[j]);
        }
      }
    });
    acc = reduce_lines<Sums>(acc, columns);
    if (columns.line() != 0) continue;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      if (place.channel + j >= columns.channels) break;
      C* out = partial_at(partials, columns, place.chunk, place.channel + j);
      out[0] = acc.v[j].first;
      out[columns.channels] = acc.v[j].second;
    }
  }
}

/// Of chunks of rows, a pack of channels each.
Columns first_stage(int64_t rows, int64_t channels, int pack) {
  return columns_of(rows, channels, batch_norm_chunk, pack, most_lanes);
}
/// The merging kernels see the chunks as rows.
Columns second_stage(const Columns& columns) {
  return columns_of(columns.chunks, columns.channels, columns.chunks, 1, most_merge_lanes);
}
template <class T>
bool rows_hold_packs(int64_t channels, const T* x, const T* dy = nullptr, const T* y = nullptr) {
  return channels % pack_size<T> == 0 && holds_packs<T>(x, dy, y);
}

void statistics(const BatchNormStatisticsArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const Columns columns = first_stage(args.rows, args.channels, pack_size<T>), merged = second_stage(columns);
    const auto* x = static_cast<const T*>(args.x);
    launch("batch_norm_statistics", statistics_kernel<T>, grid_for_columns(columns, stream), stream, columns,
           rows_hold_packs<T>(args.channels, x), x, static_cast<C*>(args.partials));
    launch("batch_norm_statistics", merge_statistics_kernel<C>, grid_for_columns(merged, stream), stream, merged,
           args.rows, static_cast<const C*>(args.partials), static_cast<C*>(args.mean), static_cast<C*>(args.var));
  });
}

void sums(const BatchNormSumsArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const Columns columns = first_stage(args.rows, args.channels, pack_size<T>), merged = second_stage(columns);
    const auto* x = static_cast<const T*>(args.x);
    const auto* dy = static_cast<const T*>(args.dy);
    const auto* y = static_cast<const T*>(args.y);
    launch("batch_norm_sums", sums_kernel<T>, grid_for_columns(columns, stream), stream, columns,
           rows_hold_packs<T>(args.channels, x, dy, y), x, dy, y, static_cast<const C*>(args.mean),
           static_cast<const C*>(args.inverse_std), static_cast<C*>(args.partials));
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
