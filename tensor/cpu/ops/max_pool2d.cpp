#include "weft/tensor/ops/max_pool2d.h"

#include <limits>

#include "weft/tensor/cpu/loops.h"

namespace weft {
namespace {

constexpr int64_t strip = 64;  // channels worked on at a time, in arrays that stay in registers or the nearest cache

/// Positions k of a window, first <= k < last, that lie inside an extent: start + k dilation in [0, extent).
struct Inside {
  int64_t first, last;
};
WEFT_INLINE Inside inside(int64_t start, int64_t kernel, int64_t dilation, int64_t extent) {
  const int64_t first = start < 0 ? (-start + dilation - 1) / dilation : 0;
  const int64_t last = start < extent ? smaller(kernel, (extent - 1 - start) / dilation + 1) : 0;
  return {first, larger(first, last)};
}

/// Windows along one axis, first <= o < last, that may cover position i: o stride - padding <= i within their reach.
WEFT_INLINE Inside covering(int64_t i, int64_t stride, int64_t padding, int64_t reach, int64_t out) {
  const int64_t at = i + padding;
  return {at < reach ? 0 : (at - reach) / stride + 1, smaller(at / stride + 1, out)};
}

/// Calls body(image, row, first channel, channels) for all rows of all images.
template <class Body>
WEFT_INLINE void for_rows_of(const MaxPool2dGeometry& g, int64_t rows, int64_t cost, const Body& body) {
  parallel_for(g.batch * rows, 1 + 16384 / (cost * g.channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t c = 0; c < g.channels; c += strip) body(i / rows, i % rows, c, smaller(strip, g.channels - c));
  });
}

template <class T>
WEFT_INLINE void window(const MaxPool2dGeometry& g, const T* image, int64_t y, int64_t x, int64_t m, T* out,
                        int32_t* index) {
  using C = Compute<T>;
  const int64_t top = y * g.stride.h - g.padding.h, left = x * g.stride.w - g.padding.w;
  const Inside rows = inside(top, g.kernel.h, g.dilation.h, g.in.h),
               columns = inside(left, g.kernel.w, g.dilation.w, g.in.w);
  C best[strip];
  int32_t at[strip];
  // The first pixel wins over no pixel even if it is -inf.
  const bool any = rows.first < rows.last && columns.first < columns.last;
  const int64_t start = (top + rows.first * g.dilation.h) * g.in.w + left + columns.first * g.dilation.w;
  for (int64_t k = 0; k < m; ++k) best[k] = -std::numeric_limits<C>::infinity();
  for (int64_t k = 0; k < m; ++k) at[k] = any ? static_cast<int32_t>(start) : -1;
  for (int64_t i = rows.first; i < rows.last; ++i) {
    for (int64_t j = columns.first; j < columns.last; ++j) {
      const int64_t pixel = (top + i * g.dilation.h) * g.in.w + left + j * g.dilation.w;
      const T* v = image + pixel * g.channels;
      for (int64_t k = 0; k < m; ++k) {
        const C value = static_cast<C>(v[k]);
        const bool wins = (value > best[k]) | ((value != value) & (best[k] == best[k]));
        best[k] = wins ? value : best[k];
        at[k] = wins ? static_cast<int32_t>(pixel) : at[k];
      }
    }
  }
  for (int64_t k = 0; k < m; ++k) out[k] = static_cast<T>(best[k]);
  for (int64_t k = 0; k < m; ++k) index[k] = at[k];
}

template <class T>
void forward(const MaxPool2dArgs& a) {
  const MaxPool2dGeometry& g = a.geometry;
  for_rows_of(g, g.out.h, g.out.w * g.kernel.h * g.kernel.w, [&](int64_t n, int64_t y, int64_t c, int64_t m) {
    const T* image = static_cast<const T*>(a.x) + n * g.in.h * g.in.w * g.channels + c;
    for (int64_t x = 0; x < g.out.w; ++x) {
      const int64_t at = ((n * g.out.h + y) * g.out.w + x) * g.channels + c;
      window(g, image, y, x, m, static_cast<T*>(a.y) + at, a.index + at);
    }
  });
}

// Every pixel asks the windows around it whether it was their maximum: nobody else writes there, and the order is
// fixed.
template <class T>
void backward(const MaxPool2dBackwardArgs& a) {
  using C = Compute<T>;
  const MaxPool2dGeometry& g = a.geometry;
  const Pair reach{g.dilation.h * (g.kernel.h - 1) + 1, g.dilation.w * (g.kernel.w - 1) + 1};
  for_rows_of(g, g.in.h, g.in.w * 4, [&](int64_t n, int64_t y, int64_t c, int64_t m) {
    const Inside rows = covering(y, g.stride.h, g.padding.h, reach.h, g.out.h);
    for (int64_t x = 0; x < g.in.w; ++x) {
      const Inside columns = covering(x, g.stride.w, g.padding.w, reach.w, g.out.w);
      const int32_t pixel = static_cast<int32_t>(y * g.in.w + x);
      C sum[strip] = {};
      for (int64_t i = rows.first; i < rows.last; ++i) {
        for (int64_t j = columns.first; j < columns.last; ++j) {
          const int64_t at = ((n * g.out.h + i) * g.out.w + j) * g.channels + c;
          const T* dy = static_cast<const T*>(a.dy) + at;
          const int32_t* index = a.index + at;
          for (int64_t k = 0; k < m; ++k) {
            const C value = static_cast<C>(dy[k]);
            sum[k] += index[k] == pixel ? value : C(0);
          }
        }
      }
      T* dx = static_cast<T*>(a.dx) + ((n * g.in.h + y) * g.in.w + x) * g.channels + c;
      for (int64_t k = 0; k < m; ++k) dx[k] = static_cast<T>(sum[k]);
    }
  });
}

template <class T>
void gather(const MaxPool2dGatherArgs& a) {
  const MaxPool2dGeometry& g = a.geometry;
  for_rows_of(g, g.out.h, g.out.w, [&](int64_t n, int64_t y, int64_t c, int64_t m) {
    const T* image = static_cast<const T*>(a.x) + n * g.in.h * g.in.w * g.channels + c;
    for (int64_t x = 0; x < g.out.w; ++x) {
      const int64_t at = ((n * g.out.h + y) * g.out.w + x) * g.channels + c;
      for (int64_t k = 0; k < m; ++k) {
        const int64_t pixel = a.index[at + k];
        static_cast<T*>(a.y)[at + k] = pixel < 0 ? static_cast<T>(0.0f) : image[pixel * g.channels + k];
      }
    }
  });
}

void max_pool2d(const MaxPool2dArgs& args, Stream) {
  dispatch_floating(args.geometry.dtype, [&](auto tag) { forward<typename decltype(tag)::type>(args); });
}
void max_pool2d_backward(const MaxPool2dBackwardArgs& args, Stream) {
  dispatch_floating(args.geometry.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(args); });
}
void max_pool2d_gather(const MaxPool2dGatherArgs& args, Stream) {
  dispatch_floating(args.geometry.dtype, [&](auto tag) { gather<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(max_pool2d_kernel, max_pool2d);
  WEFT_PLUG(max_pool2d_backward_kernel, max_pool2d_backward);
  WEFT_PLUG(max_pool2d_gather_kernel, max_pool2d_gather);
}
