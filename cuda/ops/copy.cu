// Copies on one device: as they are, transposed, or converted.
#include "weft/tensor/ops/copy.h"

#include <bit>

#include "weft/cuda/walk.cuh"
#include "weft/cuda/word.h"
#include "weft/tensor/convert.h"

namespace weft::cuda {
namespace {

constexpr int tile_size = 32;
constexpr int tile_rows = 8;  // of threads: each moves tile_size / tile_rows elements

template <class U>
__global__ void copy_kernel_of(Walk<2> walk, const U* x, U* y) {
  for_walked<pack_size<U>>(
      walk, [&](auto n, const auto& offsets) { return load_walked<n>(walk, offsets, 1, x); },
      [&](auto, const auto& offsets, const auto& pack) { store_as(y + offsets.at[0], pack); });
}

/// y and x are contiguous along different dimensions: rows (x) and columns (y); `rest` walks the others.
struct Transposition {
  int64_t rows, columns;
  int64_t x_column_stride, y_row_stride;
  int64_t row_tiles, column_tiles;
  Walk<2> rest;
};

// Through a tile in shared memory, so that both sides move whole lines; the extra column keeps banks apart.
template <class U>
__global__ void transpose_kernel(Transposition t, const U* x, U* y) {
  WEFT_SHARED(U, tile, [tile_size][tile_size + 1]);
  const int lane = static_cast<int>(threadIdx.x) % tile_size, line = static_cast<int>(threadIdx.x) / tile_size;
  const int64_t tiles = t.row_tiles * t.column_tiles;
  for (int64_t block = blockIdx.x; block < tiles * t.rest.numel; block += gridDim.x) {
    const auto offset = t.rest.offsets(block / tiles);
    const int64_t row = block % tiles / t.column_tiles * tile_size, column = block % t.column_tiles * tile_size;
    for (int k = line; k < tile_size; k += tile_rows)
      if (row + lane < t.rows && column + k < t.columns)
        tile[k][lane] = x[offset.at[1] + row + lane + (column + k) * t.x_column_stride];
    barrier();
    for (int k = line; k < tile_size; k += tile_rows)
      if (row + k < t.rows && column + lane < t.columns)
        y[offset.at[0] + (row + k) * t.y_row_stride + column + lane] = tile[lane][k];
    barrier();
  }
}

/// Elements that are converted together: those of an access of 16 bytes of the 16-bit types.
constexpr int converted = 8;

/// x: elements of `from`, moved as words U of their size.
template <class U, class To>
__global__ void convert_kernel(Walk<2> walk, DType from, const U* x, To* y) {
  const auto load = [&](auto n, const auto& offsets) { return load_walked<n>(walk, offsets, 1, x); };
  for_walked<converted, true>(walk, load, [&](auto n, const auto& offsets, const auto& pack) {
    Pack<To, n> result = {};
    dispatch_all(from, [&](auto tag) {
      using From = typename decltype(tag)::type;
      if constexpr (sizeof(From) == sizeof(U)) {
#pragma unroll
        for (int j = 0; j < n; ++j) result.v[j] = convert<To>(std::bit_cast<From>(pack.v[j]));
      }
    });
    store_as(y + offsets.at[0], result);
  });
}

/// The dimension along which x is contiguous if y is so along another and both are long, else -1.
int transposed_dimension(const Collapsed& geometry) {
  const int last = geometry.rank - 1;
  if (last < 1 || geometry.stride[0][last] != 1 || geometry.extent[last] < tile_size / 2) return -1;
  for (int d = 0; d < last; ++d)
    if (geometry.stride[1][d] == 1 && geometry.extent[d] >= tile_size / 2) return d;
  return -1;
}

Transposition transposition_of(const Collapsed& geometry, int rows) {
  const int columns = geometry.rank - 1;
  Transposition t = {};
  t.rows = geometry.extent[rows];
  t.columns = geometry.extent[columns];
  t.x_column_stride = geometry.stride[1][columns];
  t.y_row_stride = geometry.stride[0][rows];
  t.row_tiles = (t.rows + tile_size - 1) / tile_size;
  t.column_tiles = (t.columns + tile_size - 1) / tile_size;
  Collapsed rest;
  rest.numel = geometry.numel / (t.rows * t.columns);
  for (int d = 0; d < columns; ++d) {
    if (d == rows) continue;
    rest.extent[rest.rank] = geometry.extent[d];
    for (int k = 0; k < 2; ++k) rest.stride[k][rest.rank] = geometry.stride[k][d];
    ++rest.rank;
  }
  t.rest = walk_of<2>(rest, {{nullptr, 1}, {nullptr, 1}}, 1);
  return t;
}

template <class U>
void move(const CopyArgs& args, Stream stream) {
  const auto* x = static_cast<const U*>(args.x);
  auto* y = static_cast<U*>(args.y);
  const int rows = transposed_dimension(*args.geometry);
  if (rows >= 0) {
    const Transposition t = transposition_of(*args.geometry, rows);
    constexpr int threads = tile_size * tile_rows;
    const int64_t tiles = t.row_tiles * t.column_tiles * t.rest.numel;
    launch("copy", transpose_kernel<U>, grid_for(tiles * threads, stream, threads), stream, t, x, y);
    return;
  }
  constexpr int width = pack_size<U>;
  const Walk<2> walk = walk_of<2>(*args.geometry, {walked<U, width>(y), walked<U, width>(x)}, width);
  launch("copy", copy_kernel_of<U>, grid_for_walk(walk, width, stream), stream, walk, x, y);
}

void copy(const CopyArgs& args, Stream stream) {
  if (args.from == args.to && !args.geometry) {
    const DeviceScope scope(stream.device.index);
    note_operation(stream.device.index, "copy");
    const auto bytes = static_cast<size_t>(args.numel * size_of(args.to));
    check(cudaMemcpyAsync(args.y, args.x, bytes, cudaMemcpyDeviceToDevice, native(stream)), "copy");
    return;
  }
  if (args.from == args.to) {
    dispatch_word(size_of(args.to), [&](auto tag) { move<typename decltype(tag)::type>(args, stream); });
    return;
  }
  dispatch_all(args.to, [&](auto tag) {
    using To = typename decltype(tag)::type;
    dispatch_word(size_of(args.from), [&](auto word) {
      using U = typename decltype(word)::type;
      const Walk<2> walk = walk_of<2>(args.geometry, args.numel,
                                      {walked<To, converted>(args.y), walked<U, converted>(args.x)}, converted);
      launch("cast", convert_kernel<U, To>, grid_for_walk(walk, converted, stream), stream, walk, args.from,
             static_cast<const U*>(args.x), static_cast<To*>(args.y));
    });
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(copy_kernel, weft::cuda::copy); }
