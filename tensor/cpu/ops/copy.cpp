// Copies on the host: runs of memory, strided rows, transposes in tiles, and conversions through small buffers.
#include "weft/tensor/ops/copy.h"

#include "weft/tensor/convert.h"
#include "weft/tensor/cpu/moves.h"

namespace weft {
namespace {

constexpr int64_t grain = 32768;

// The dimension that is contiguous in x while the last one is contiguous in y; -1 if the copy is not a transpose.
int transposed_dimension(const Collapsed& g) {
  const int last = g.rank - 1;
  if (g.stride[0][last] != 1 || g.stride[1][last] == 1 || g.stride[1][last] == 0) return -1;
  for (int d = 0; d < last; ++d)
    if (g.stride[1][d] == 1 && g.extent[d] > 3) return d;
  return -1;
}

// Tiles of a cache line of the dimension that is contiguous in x, by few enough of the one contiguous in y that their
// lines stay in the cache also where they lie a power of two apart. Each goes through a small buffer, so that memory is
// read and written in runs.
template <int64_t tile, int64_t stretch, class T>
WEFT_INLINE void transpose_tile(const T* x, int64_t x_step, T* y, int64_t y_step) {
  T buffer[tile * stretch];
  for (int64_t i = 0; i < stretch; ++i)
    for (int64_t r = 0; r < tile; ++r) buffer[r * stretch + i] = x[i * x_step + r];
  for (int64_t r = 0; r < tile; ++r) __builtin_memcpy(y + r * y_step, buffer + r * stretch, stretch * sizeof(T));
}

template <class T>
void transpose(const Collapsed& g, int across, const T* x, T* y) {
  constexpr int64_t tile = 64 / sizeof(T), stretch = 8;
  const int last = g.rank - 1;
  const int64_t rows = g.extent[across], columns = g.extent[last];
  const int64_t y_step = g.stride[0][across], x_step = g.stride[1][last];
  Collapsed rest = g;  // the other dimensions, and tiles instead of rows
  rest.extent[across] = (rows + tile - 1) / tile;
  rest.stride[0][across] = tile * y_step;
  rest.stride[1][across] = tile;
  rest.stride[2][across] = tile;  // the first row of the tile
  rest.extent[last] = 1;
  rest.numel = g.numel / (rows * columns) * rest.extent[across];
  for (int d = 0; d < g.rank; ++d)
    if (d != across) rest.stride[2][d] = 0;
  parallel_for(rest.numel, larger<int64_t>(1, grain / (tile * columns)), [=, &rest](int64_t begin, int64_t end) {
    for_rows<3>(rest, begin, end, [=](const int64_t* offset, int64_t) {
      const int64_t height = smaller(tile, rows - offset[2]);
      for (int64_t c = 0; c < columns; c += stretch) {
        T* const to = y + offset[0] + c;
        const T* const from = x + offset[1] + c * x_step;
        if (height == tile && columns - c >= stretch) {
          transpose_tile<tile, stretch>(from, x_step, to, y_step);
          continue;
        }
        const int64_t width = smaller(stretch, columns - c);
        for (int64_t r = 0; r < height; ++r)
          for (int64_t i = 0; i < width; ++i) to[r * y_step + i] = from[r + i * x_step];
      }
    });
  });
}

template <class T>
void move(const CopyArgs& args) {
  const T* const x = static_cast<const T*>(args.x);
  T* const y = static_cast<T*>(args.y);
  if (!args.geometry) {
    parallel_for(args.numel, grain,
                 [=](int64_t begin, int64_t end) { move_run(x + begin, 1, y + begin, 1, end - begin); });
    return;
  }
  const Collapsed& geometry = *args.geometry;
  if (const int across = transposed_dimension(geometry); across >= 0) return transpose(geometry, across, x, y);
  const int64_t y_stride = geometry.stride[0][geometry.rank - 1], x_stride = geometry.stride[1][geometry.rank - 1];
  parallel_for(args.numel, grain, [=, &geometry](int64_t begin, int64_t end) {
    for_rows<2>(geometry, begin, end, [=](const int64_t* offset, int64_t n) {
      move_run(x + offset[1], x_stride, y + offset[0], y_stride, n);
    });
  });
}

// Elements of `size` bytes from a row to places `stride` apart.
void scatter(const char* x, char* y, int64_t stride, int64_t n, int64_t size) {
  dispatch_size(size, [=](auto tag) {
    using T = typename decltype(tag)::type;
    move_run(reinterpret_cast<const T*>(x), 1, reinterpret_cast<T*>(y), stride, n);
  });
}

// A conversion is made of two: to the wide type (float, double, i64) that holds every value, and from there.
template <class W, class To>
void convert_from(const W* x, void* y, int64_t n) {
  To* const to = static_cast<To*>(y);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) assign(to[i], convert<To>(x[i]));
}

template <class W>
using Convert = void (*)(const W* x, void* y, int64_t n);
template <class W>
Convert<W> conversion_to(DType dtype) {
  Convert<W> found = nullptr;
  dispatch_all(dtype, [&](auto tag) { found = convert_from<W, typename decltype(tag)::type>; });
  return found;
}

template <class W>
void convert_all(const CopyArgs& args, const Access<W>& from) {
  const Convert<W> convert = conversion_to<W>(args.to);
  const int64_t size = size_of(args.to);
  Collapsed dense;
  dense.rank = 1;
  dense.numel = dense.extent[0] = args.numel;
  dense.stride[0][0] = dense.stride[1][0] = 1;
  const Collapsed& g = args.geometry ? *args.geometry : dense;
  const int64_t y_stride = g.stride[0][g.rank - 1], x_stride = g.stride[1][g.rank - 1];
  char* const y = static_cast<char*>(args.y);
  parallel_for(args.numel, grain / 2, [&](int64_t begin, int64_t end) {
    for_rows<2>(g, begin, end, [&](const int64_t* offset, int64_t n) {
      W buffer[stage];
      alignas(8) char results[stage * 8];
      for (int64_t i = 0; i < n; i += stage) {
        const int64_t m = smaller(stage, n - i);
        const W* const x = from.load(from.at(args.x, offset[1] + i * x_stride), x_stride, m, buffer);
        char* const to = y + (offset[0] + i * y_stride) * size;
        convert(x, y_stride == 1 ? to : results, m);
        if (y_stride != 1) scatter(results, to, y_stride, m, size);
      }
    });
  });
}

void copy(const CopyArgs& args, Stream) {
  if (args.from == args.to) {
    dispatch_size(size_of(args.from), [&](auto tag) { move<typename decltype(tag)::type>(args); });
  } else {
    dispatch_access(args.from, [&](const auto& access) { convert_all(args, access); });
  }
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(weft::copy_kernel, weft::copy); }
