#include "weft/tensor/ops/pad.h"

#include "weft/tensor/cpu/moves.h"

namespace weft {
namespace {

constexpr int64_t strip = 64;  // channels whose sums are kept side by side

template <class U>
WEFT_INLINE void fill_pixels(const PadArgs& a, U* y, int64_t pixels) {
  const U value = static_cast<U>(a.fill);
  if (!a.fills) return move_run(&value, 0, y, 1, pixels * a.channels);
  for (int64_t i = 0; i < pixels; ++i) move_run(static_cast<const U*>(a.fills), 1, y + i * a.channels, 1, a.channels);
}

// A row of the output: the pixels before the image, those of it in one piece, those after it.
template <class U>
WEFT_INLINE void forward_row(const PadArgs& a, const U* x, U* y) {
  const int64_t begin = smaller(larger<int64_t>(a.w.before, 0), a.w.out);
  const int64_t end = larger(begin, smaller(a.w.before + a.w.in, a.w.out));
  const auto around = [&](int64_t from, int64_t to) {
    if (a.w.mode == PadMode::constant) return fill_pixels(a, y + from * a.channels, to - from);
    for (int64_t o = from; o < to; ++o)
      move_run(x + pad_source(a.w, o) * a.channels, 1, y + o * a.channels, 1, a.channels);
  };
  around(0, begin);
  if (end > begin)
    move_run(x + (begin - a.w.before) * a.channels, 1, y + begin * a.channels, 1, (end - begin) * a.channels);
  around(end, a.w.out);
}

template <class U>
void forward(const PadArgs& a) {
  const int64_t rows = a.h.out;
  parallel_for(a.batch * rows, 1 + 32768 / (a.w.out * a.channels), [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t source = pad_source(a.h, i % rows);
      U* y = static_cast<U*>(a.y) + i * a.w.out * a.channels;
      if (source < 0)
        fill_pixels(a, y, a.w.out);
      else
        forward_row(a, static_cast<const U*>(a.x) + (i / rows * a.h.in + source) * a.w.in * a.channels, y);
    }
  });
}

/// The gradient of one source pixel: a sum over its outputs, in row-major order.
template <class T>
WEFT_INLINE void collect(const PadBackwardArgs& a, const T* image, const PadOutputs& rows, const PadOutputs& columns,
                         T* dx) {
  using C = Compute<T>;
  for (int64_t c = 0; c < a.channels; c += strip) {
    const int64_t m = smaller(strip, a.channels - c);
    C sum[strip] = {};
    for (const auto& down : rows.part)
      for (int64_t o = down.begin; o < down.end; ++o)
        for (const auto& across : columns.part)
          for (int64_t p = across.begin; p < across.end; ++p) {
            const T* dy = image + (o * a.w.out + p) * a.channels + c;
            for (int64_t k = 0; k < m; ++k) sum[k] += static_cast<C>(dy[k]);
          }
    for (int64_t k = 0; k < m; ++k) dx[c + k] = static_cast<T>(sum[k]);
  }
}

template <class T>
void backward(const PadBackwardArgs& a) {
  const int64_t rows = a.h.in;
  parallel_for(a.batch * rows, 1 + 16384 / (a.w.in * a.channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const PadOutputs down = pad_outputs(a.h, i % rows);
      const T* image = static_cast<const T*>(a.dy) + i / rows * a.h.out * a.w.out * a.channels;
      T* dx = static_cast<T*>(a.dx) + i * a.w.in * a.channels;
      for (int64_t j = 0; j < a.w.in; ++j) collect(a, image, down, pad_outputs(a.w, j), dx + j * a.channels);
    }
  });
}

void pad(const PadArgs& args, Stream) {
  dispatch_size(args.element_size, [&](auto tag) { forward<typename decltype(tag)::type>(args); });
}
void pad_backward(const PadBackwardArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(pad_kernel, pad);
  WEFT_PLUG(pad_backward_kernel, pad_backward);
}
