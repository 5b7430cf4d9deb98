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

// Tiles of `tile` positions of the dimension that is contiguous in x times a stretch of the one contiguous in y, so that
// the lines of both stay in the cache.
template <class T>
void transpose(const Collapsed& g, int across, const T* x, T* y) {
  constexpr int64_t tile = 64 / sizeof(T), stretch = 128;
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
        const int64_t width = smaller(stretch, columns - c);
        for (int64_t r = 0; r < height; ++r) {
          T* const to = y + offset[0] + r * y_step + c;
          const T* const from = x + offset[1] + r + c * x_step;
          for (int64_t i = 0; i < width; ++i) to[i] = from[i * x_step];
        }
      }
    });
  });
}

template <class T>
void move(const CopyArgs& args) {
  const T* const x = static_cast<const T*>(args.x);
  T* const y = static_cast<T*>(args.y);
  if (!args.geometry) {
    parallel_for(args.numel, grain, [=](int64_t begin, int64_t end) { move_run(x + begin, 1, y + begin, 1, end - begin); });
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

using Convert = void (*)(const void* x, void* y, int64_t n);

template <class From, class To>
void convert_all(const void* x, void* y, int64_t n) {
  const From* const from = static_cast<const From*>(x);
  To* const to = static_cast<To*>(y);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) to[i] = convert<To>(from[i]);
}

// A row: gathered, converted, scattered, a buffer at a time.
template <class From, class To>
void convert_row(Convert convert, const From* x, int64_t x_stride, To* y, int64_t y_stride, int64_t n) {
  if (x_stride == 1 && y_stride == 1) return convert(x, y, n);
  From from[stage];
  To to[stage];
  for (int64_t i = 0; i < n; i += stage) {
    const int64_t m = smaller(stage, n - i);
    move_run(x + i * x_stride, x_stride, from, 1, m);
    convert(from, to, m);
    move_run(to, 1, y + i * y_stride, y_stride, m);
  }
}

// From, To: integers of the elements' sizes.
template <class From, class To>
void convert_strided(const CopyArgs& args, Convert convert) {
  const From* const x = static_cast<const From*>(args.x);
  To* const y = static_cast<To*>(args.y);
  const Collapsed& geometry = *args.geometry;
  const int64_t y_stride = geometry.stride[0][geometry.rank - 1], x_stride = geometry.stride[1][geometry.rank - 1];
  parallel_for(args.numel, grain / 2, [=, &geometry](int64_t begin, int64_t end) {
    for_rows<2>(geometry, begin, end, [=](const int64_t* offset, int64_t n) {
      convert_row(convert, x + offset[1], x_stride, y + offset[0], y_stride, n);
    });
  });
}

Convert conversion(DType from, DType to) {
  Convert found = nullptr;
  dispatch_all(from, [&](auto from_tag) {
    dispatch_all(to, [&](auto to_tag) {
      found = convert_all<typename decltype(from_tag)::type, typename decltype(to_tag)::type>;
    });
  });
  return found;
}

void copy(const CopyArgs& args, Stream) {
  if (args.from == args.to) {
    dispatch_size(size_of(args.from), [&](auto tag) { move<typename decltype(tag)::type>(args); });
    return;
  }
  const Convert convert = conversion(args.from, args.to);
  if (!args.geometry) {
    const char* const x = static_cast<const char*>(args.x);
    char* const y = static_cast<char*>(args.y);
    const int64_t from = size_of(args.from), to = size_of(args.to);
    parallel_for(args.numel, grain / 2,
                 [=](int64_t begin, int64_t end) { convert(x + begin * from, y + begin * to, end - begin); });
    return;
  }
  dispatch_size(size_of(args.from), [&](auto from) {
    dispatch_size(size_of(args.to), [&](auto to) {
      convert_strided<typename decltype(from)::type, typename decltype(to)::type>(args, convert);
    });
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(weft::copy_kernel, weft::copy); }
