#include "weft/tensor/ops/avg_pool2d.h"

#include "weft/tensor/cpu/loops.h"

namespace weft {
namespace {

constexpr int64_t strip = 64;  // channels worked on at a time, in arrays that stay in registers or the nearest cache

/// Calls body(image, row, first channel, channels) for all rows of all images, strip by strip of the channels.
template <class Body>
WEFT_INLINE void for_strips(int64_t batch, int64_t rows, int64_t channels, int64_t cost, const Body& body) {
  const int64_t strips = (channels + strip - 1) / strip;
  parallel_for(batch * rows * strips, 1 + 16384 / (cost * smaller(strip, channels)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % strips * strip, line = i / strips;
      body(line / rows, line % rows, c, smaller(strip, channels - c));
    }
  });
}

/// Adds one row of a window after the other, each row by itself first.
template <class T>
WEFT_INLINE void average(const T* image, const PoolWindow& rows, const PoolWindow& columns, int64_t width,
                         int64_t channels, int64_t m, T* y) {
  using C = Compute<T>;
  C sum[strip] = {};
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    C line[strip] = {};
    for (int64_t j = columns.begin; j < columns.end; ++j) {
      const T* v = image + (i * width + j) * channels;
      for (int64_t k = 0; k < m; ++k) line[k] += static_cast<C>(v[k]);
    }
    for (int64_t k = 0; k < m; ++k) sum[k] += line[k];
  }
  const C count = static_cast<C>(rows.count * columns.count);
  for (int64_t k = 0; k < m; ++k) y[k] = static_cast<T>(sum[k] / count);
}

template <class T>
void forward(const AvgPool2dArgs& a) {
  const int64_t covered = 1 + a.h.in / a.h.out;
  for_strips(a.batch, a.h.out, a.channels, covered * a.w.in, [&](int64_t n, int64_t row, int64_t c, int64_t m) {
    const T* image = static_cast<const T*>(a.x) + n * a.h.in * a.w.in * a.channels + c;
    const PoolWindow rows = pool_window(a.h, row);
    for (int64_t column = 0; column < a.w.out; ++column) {
      const int64_t at = ((n * a.h.out + row) * a.w.out + column) * a.channels + c;
      average(image, rows, pool_window(a.w, column), a.w.in, a.channels, m, static_cast<T*>(a.y) + at);
    }
  });
}

// Every pixel collects from the windows that cover it: nobody else writes there, and the order is fixed.
template <class T>
void backward(const AvgPool2dBackwardArgs& a) {
  using C = Compute<T>;
  for_strips(a.batch, a.h.in, a.channels, a.w.in * 2, [&](int64_t n, int64_t y, int64_t c, int64_t m) {
    const T* image = static_cast<const T*>(a.dy) + n * a.h.out * a.w.out * a.channels + c;
    const PoolCover rows = pool_cover(a.h, y);
    for (int64_t x = 0; x < a.w.in; ++x) {
      const PoolCover columns = pool_cover(a.w, x);
      C sum[strip] = {};
      for (int64_t i = rows.begin; i < rows.end; ++i) {
        const int64_t height = pool_window(a.h, i).count;
        for (int64_t j = columns.begin; j < columns.end; ++j) {
          const C share = C(1) / static_cast<C>(height * pool_window(a.w, j).count);
          const T* dy = image + (i * a.w.out + j) * a.channels;
          for (int64_t k = 0; k < m; ++k) sum[k] += share * static_cast<C>(dy[k]);
        }
      }
      T* dx = static_cast<T*>(a.dx) + ((n * a.h.in + y) * a.w.in + x) * a.channels + c;
      for (int64_t k = 0; k < m; ++k) dx[k] = static_cast<T>(sum[k]);
    }
  });
}

void avg_pool2d(const AvgPool2dArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { forward<typename decltype(tag)::type>(args); });
}
void avg_pool2d_backward(const AvgPool2dBackwardArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(avg_pool2d_kernel, avg_pool2d);
  WEFT_PLUG(avg_pool2d_backward_kernel, avg_pool2d_backward);
}
