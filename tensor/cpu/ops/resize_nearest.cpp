#include "weft/tensor/ops/resize_nearest.h"

#include "weft/tensor/cpu/moves.h"

namespace weft {
namespace {

constexpr int64_t strip = 64;     // channels whose sums are kept side by side
constexpr int64_t columns = 128;  // columns whose sources are worked out together, then used for every row of a piece

template <class U>
void forward(const ResizeNearestArgs& a) {
  const int64_t channels = a.channels, rows = a.h.out;
  parallel_for(a.batch * rows, 1 + 32768 / (a.w.out * channels), [&](int64_t begin, int64_t end) {
    for (int64_t first = 0; first < a.w.out; first += columns) {
      const int64_t count = smaller(columns, a.w.out - first);
      int64_t source[columns];
      for (int64_t j = 0; j < count; ++j) source[j] = nearest_source(a.w, first + j) * channels;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i / rows * a.h.in + nearest_source(a.h, i % rows);
        const U* x = static_cast<const U*>(a.x) + row * a.w.in * channels;
        U* y = static_cast<U*>(a.y) + (i * a.w.out + first) * channels;
        if (channels == 1) {
          for (int64_t j = 0; j < count; ++j) y[j] = x[source[j]];
        } else {
          for (int64_t j = 0; j < count; ++j) move_run(x + source[j], 1, y + j * channels, 1, channels);
        }
      }
    }
  });
}

template <class T>
void backward(const ResizeNearestBackwardArgs& a) {
  using C = Compute<T>;
  const int64_t rows = a.h.in, channels = a.channels;
  parallel_for(a.batch * rows, 1 + 16384 / (a.w.out * channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const NearestRange down = nearest_range(a.h, i % rows);
      const T* image = static_cast<const T*>(a.dy) + i / rows * a.h.out * a.w.out * channels;
      for (int64_t j = 0; j < a.w.in; ++j) {
        const NearestRange across = nearest_range(a.w, j);
        for (int64_t c = 0; c < channels; c += strip) {
          const int64_t m = smaller(strip, channels - c);
          C sum[strip] = {};
          for (int64_t o = down.begin; o < down.end; ++o)
            for (int64_t p = across.begin; p < across.end; ++p) {
              const T* dy = image + (o * a.w.out + p) * channels + c;
              for (int64_t k = 0; k < m; ++k) sum[k] += static_cast<C>(dy[k]);
            }
          T* dx = static_cast<T*>(a.dx) + (i * a.w.in + j) * channels + c;
          for (int64_t k = 0; k < m; ++k) dx[k] = static_cast<T>(sum[k]);
        }
      }
    }
  });
}

void resize_nearest(const ResizeNearestArgs& args, Stream) {
  dispatch_size(args.element_size, [&](auto tag) { forward<typename decltype(tag)::type>(args); });
}
void resize_nearest_backward(const ResizeNearestBackwardArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(resize_nearest_kernel, resize_nearest);
  WEFT_PLUG(resize_nearest_backward_kernel, resize_nearest_backward);
}
