// A convolution as products: the columns of a piece of the output (for each of its pixels, in a row, the input pixels
// under the filter) times the filter. Depthwise ones, whose products would have one row and one column, run over the
// channels.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "weft/tensor/cpu/eigen.h"
#include "weft/tensor/cpu/eigen_maps.h"
#include "weft/tensor/cpu/loops.h"
#include "weft/tensor/storage.h"

namespace weft::cpu {

namespace {

// A convolution of one type, with what follows from its extents.
template <class T>
struct Conv {
  explicit Conv(const Conv2dArgs& args)
      : p(args),
        in(args.c / args.groups),
        out(args.o / args.groups),
        taps(args.kh * args.kw),
        width(taps * in),
        pixels(args.oh * args.ow),
        piece(std::clamp<int64_t>(32768 / width, 16, 512)),
        pieces((pixels + piece - 1) / piece),
        x(static_cast<T*>(args.x_data)),
        w(static_cast<T*>(args.w_data)),
        y(static_cast<T*>(args.y_data)),
        bias(static_cast<const T*>(args.bias)) {}

  const Conv2dArgs& p;
  int64_t in, out;        // channels of a group
  int64_t taps, width;    // positions of a filter, and length of a row of columns
  int64_t pixels;         // of one output image
  int64_t piece, pieces;  // pixels that are computed at once, and how many such pieces an image has
  T *x, *w, *y;
  const T* bias;

  // Where input and output pixels of image n and group g begin.
  T* x_at(int64_t n, int64_t g, int64_t row, int64_t column) const {
    return x + ((n * p.h + row) * p.w + column) * p.c + g * in;
  }
  T* y_at(int64_t n, int64_t g, int64_t pixel) const { return y + (n * pixels + pixel) * p.o + g * out; }
  eigen::Matrix<T> y_piece(int64_t n, int64_t g, int64_t first) const {
    return {y_at(n, g, first), std::min(piece, pixels - first), out, eigen::Stride(p.o)};
  }
  eigen::Matrix<T> filter(int64_t g) const { return {w + g * out * width, out, width, eigen::Stride(width)}; }

  // The input pixel under position (r, s) of the filter at an output pixel; null outside of the image.
  T* under(int64_t n, int64_t g, int64_t pixel, int64_t r, int64_t s) const {
    const int64_t row = pixel / p.ow * p.stride_h + r * p.dilation_h - p.top;
    const int64_t column = pixel % p.ow * p.stride_w + s * p.dilation_w - p.left;
    return row < 0 || row >= p.h || column < 0 || column >= p.w ? nullptr : x_at(n, g, row, column);
  }

  // Calls f(input pixel or null, place in the columns) for every row and filter position of a piece.
  template <class F>
  void for_columns(int64_t n, int64_t g, int64_t first, T* columns, const F& f) const {
    const int64_t last = std::min(first + piece, pixels);
    for (int64_t pixel = first; pixel < last; ++pixel)
      for (int64_t r = 0; r < p.kh; ++r)
        for (int64_t s = 0; s < p.kw; ++s, columns += in) f(under(n, g, pixel, r, s), columns);
  }
};

// A buffer for each thread of a loop, allocated before it, since nothing may throw inside.
template <class T>
class Buffers {
 public:
  Buffers(int64_t each, Stream stream)
      : each_((each + 15) / 16 * 16),
        memory_(allocate_storage(static_cast<size_t>(each_ * team_size()) * sizeof(T), stream)) {}
  T* next() { return static_cast<T*>(memory_->data()) + each_ * taken_.fetch_add(1); }

 private:
  int64_t each_;
  Ref<Storage> memory_;
  std::atomic<int64_t> taken_{0};
};

template <class T>
void forward(const Conv<T>& c, Stream stream) {
  Buffers<T> buffers(c.piece * c.width, stream);
  const int64_t work = c.piece * c.width * c.out;
  parallel_for(
      c.p.n * c.p.groups * c.pieces, std::max<int64_t>(1, eigen::grain / work), [&](int64_t begin, int64_t end) {
        T* const columns = buffers.next();
        for (int64_t i = begin; i < end; ++i) {
          const int64_t n = i / (c.p.groups * c.pieces), g = i / c.pieces % c.p.groups, first = i % c.pieces * c.piece;
          c.for_columns(n, g, first, columns, [&](const T* pixel, T* place) {
            pixel ? std::copy_n(pixel, c.in, place) : std::fill_n(place, c.in, T(0));
          });
          auto y = c.y_piece(n, g, first);
          y.noalias() =
              eigen::Matrix<const T>(columns, y.rows(), c.width, eigen::Stride(c.width)) * c.filter(g).transpose();
          if (c.bias) y.rowwise() += eigen::Matrix<const T>(c.bias + g * c.out, 1, c.out, eigen::Stride(c.out)).row(0);
        }
      });
}

// Pieces overlap in the input, so that one thread makes a whole image of a group.
template <class T>
void data(const Conv<T>& c, Stream stream) {
  Buffers<T> buffers(c.piece * c.width, stream);
  const int64_t work = c.pixels * c.width * c.out;
  parallel_for(c.p.n * c.p.groups, std::max<int64_t>(1, eigen::grain / work), [&](int64_t begin, int64_t end) {
    T* const columns = buffers.next();
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / c.p.groups, g = i % c.p.groups;
      for (int64_t pixel = 0; pixel < c.p.h * c.p.w; ++pixel) std::fill_n(c.x_at(n, g, 0, pixel), c.in, T(0));
      for (int64_t first = 0; first < c.pixels; first += c.piece) {
        const auto y = c.y_piece(n, g, first);
        eigen::Matrix<T>(columns, y.rows(), c.width, eigen::Stride(c.width)).noalias() = y * c.filter(g);
        c.for_columns(n, g, first, columns, [&](T* pixel, const T* place) {
          for (int64_t k = 0; pixel && k < c.in; ++k) pixel[k] += place[k];
        });
      }
    }
  });
}

// One thread makes a filter position, or some channels of it, for all output channels of a group.
template <class T>
void filter(const Conv<T>& c, Stream stream) {
  constexpr int64_t channels = 64;
  constexpr int64_t piece = 512;
  const int64_t parts = (c.in + channels - 1) / channels;
  Buffers<T> buffers(piece * std::min(channels, c.in), stream);
  const int64_t work = c.p.n * c.pixels * std::min(channels, c.in) * c.out;
  parallel_for(c.p.groups * c.taps * parts, std::max<int64_t>(1, eigen::grain / work), [&](int64_t begin, int64_t end) {
    T* const columns = buffers.next();
    for (int64_t i = begin; i < end; ++i) {
      const int64_t g = i / (c.taps * parts), tap = i / parts % c.taps, from = i % parts * channels;
      const int64_t count = std::min(channels, c.in - from);
      auto dw = c.filter(g).middleCols(tap * c.in + from, count);
      dw.setZero();
      for (int64_t n = 0; n < c.p.n; ++n) {
        for (int64_t first = 0; first < c.pixels; first += piece) {
          const int64_t rows = std::min(piece, c.pixels - first);
          for (int64_t k = 0; k < rows; ++k) {
            const T* pixel = c.under(n, g, first + k, tap / c.p.kw, tap % c.p.kw);
            pixel ? std::copy_n(pixel + from, count, columns + k * count)
                  : std::fill_n(columns + k * count, count, T(0));
          }
          dw.noalias() += eigen::Matrix<const T>(c.y_at(n, g, first), rows, c.out, eigen::Stride(c.p.o)).transpose() *
                          eigen::Matrix<const T>(columns, rows, count, eigen::Stride(count));
        }
      }
    }
  });
}

// ---- depthwise: one input and one output channel per group

template <class T>
using Channels =
    Eigen::Map<std::conditional_t<std::is_const_v<T>, const Eigen::Array<std::remove_const_t<T>, Eigen::Dynamic, 1>,
                                  Eigen::Array<T, Eigen::Dynamic, 1>>>;

constexpr int64_t lanes = 64;  // channels of one task

// Calls f(first channel, number of channels, i) for every block of channels and every i of a count.
template <class T, class F>
void for_channels(const Conv<T>& c, int64_t count, int64_t work, const F& f) {
  const int64_t blocks = (c.p.c + lanes - 1) / lanes;
  parallel_for(blocks * count, std::max<int64_t>(1, eigen::grain / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = i % blocks * lanes;
      f(from, std::min(lanes, c.p.c - from), i / blocks);
    }
  });
}

template <class T>
T* under_tap(const Conv<T>& c, int64_t n, int64_t from, int64_t pixel, int64_t tap) {
  return c.under(n, from, pixel, tap / c.p.kw, tap % c.p.kw);
}

// `w` is the filter with its channels together, [taps, channels].
template <class T>
void depthwise_filter(const Conv<T>& c, eigen::Matrix<T>& w) {
  for_channels(c, c.taps, c.p.n * c.pixels * lanes, [&](int64_t from, int64_t count, int64_t tap) {
    Channels<T> dw(&w(tap, from), count);
    dw.setZero();
    for (int64_t n = 0; n < c.p.n; ++n)
      for (int64_t pixel = 0; pixel < c.pixels; ++pixel)
        if (T* x = under_tap(c, n, from, pixel, tap))
          dw += Channels<T>(x, count) * Channels<T>(c.y_at(n, from, pixel), count);
  });
}

template <class T>
void depthwise_image(const Conv<T>& c, eigen::Matrix<T>& w) {
  const bool makes_y = c.p.pass == ConvPass::forward;
  for_channels(c, c.p.n, c.pixels * c.taps * lanes, [&](int64_t from, int64_t count, int64_t n) {
    for (int64_t i = 0; !makes_y && i < c.p.h * c.p.w; ++i) Channels<T>(c.x_at(n, from, 0, i), count).setZero();
    for (int64_t pixel = 0; pixel < c.pixels; ++pixel) {
      Channels<T> y(c.y_at(n, from, pixel), count);
      if (makes_y && c.bias) y = Channels<const T>(c.bias + from, count);
      if (makes_y && !c.bias) y.setZero();
      for (int64_t tap = 0; tap < c.taps; ++tap) {
        T* const at = under_tap(c, n, from, pixel, tap);
        if (!at) continue;
        Channels<T> x(at, count);
        const Channels<T> factor(&w(tap, from), count);
        if (makes_y)
          y += x * factor;
        else
          x += y * factor;
      }
    }
  });
}

template <class T>
void depthwise(const Conv<T>& c, Stream stream) {
  const Ref<Storage> memory = allocate_storage(static_cast<size_t>(c.taps * c.p.c) * sizeof(T), stream);
  eigen::Matrix<T> w(static_cast<T*>(memory->data()), c.taps, c.p.c, eigen::Stride(c.p.c));
  eigen::Matrix<T> given(c.w, c.p.c, c.taps, eigen::Stride(c.taps));
  if (c.p.pass == ConvPass::filter) {
    depthwise_filter(c, w);
    given = w.transpose();
  } else {
    w = given.transpose();
    depthwise_image(c, w);
  }
}

template <class T>
void conv2d(const Conv2dArgs& args, Stream stream) {
  const Conv<T> c(args);
  if (c.in == 1 && c.out == 1 && args.groups > 1) return depthwise(c, stream);
  switch (args.pass) {
    case ConvPass::forward:
      return forward(c, stream);
    case ConvPass::data:
      return data(c, stream);
    case ConvPass::filter:
      return filter(c, stream);
  }
}

}  // namespace

void eigen_conv2d(const Conv2dArgs& args, Stream stream) {
  args.dtype == DType::f64 ? conv2d<double>(args, stream) : conv2d<float>(args, stream);
}

}  // namespace weft::cpu
