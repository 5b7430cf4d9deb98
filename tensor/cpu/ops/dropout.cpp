#include "weft/tensor/ops/dropout.h"

#include "weft/tensor/cpu/draws.h"

namespace weft {
namespace {

constexpr int64_t run = 1024;  // elements in a row of memory that one unit of work takes

template <class T>
struct Mask {
  using C = Compute<T>;
  uint64_t threshold;
  C scale;
  WEFT_INLINE explicit Mask(const DropoutArgs& a) : threshold(a.threshold), scale(static_cast<C>(a.scale)) {}
  WEFT_INLINE T apply(T x, uint32_t word) const {
    // Chosen after the product, so that a dropped Inf or NaN is 0 too.
    const C kept = static_cast<C>(x) * scale;
    return static_cast<T>(word >= threshold ? kept : C(0));
  }
};

/// Coordinates of all dimensions but the two that a unit of work walks itself.
struct Place {
  int64_t memory = 0, index = 0;
};
WEFT_INLINE Place place_of(const Collapsed& g, int64_t flat, int skip_a, int skip_b) {
  Place place;
  for (int d = g.rank - 1; d >= 0; --d) {
    if (d == skip_a || d == skip_b) continue;
    const int64_t at = flat % g.extent[d];
    flat /= g.extent[d];
    place.memory += at * g.stride[0][d];
    place.index += at * g.stride[1][d];
  }
  return place;
}

// Places follow each other in memory as in the index: row-major data.
template <class T>
void along_rows(const DropoutArgs& a) {
  const Collapsed& g = a.geometry;
  const int last = g.rank - 1;
  const int64_t n = g.extent[last], parts = (n + run - 1) / run;
  const Mask<T> mask(a);
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  parallel_for(g.numel / n * parts, 1 + 4096 / smaller(n, run), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const Place place = place_of(g, unit / parts, last, last);
      const int64_t first = unit % parts * run;
      for_words(a.call, static_cast<uint64_t>(a.call.offset + place.index), first, smaller(n, first + run),
                [&](int64_t i, int64_t count, const uint32_t* words) {
                  for (int64_t k = 0; k < count; ++k)
                    y[place.memory + i + k] = mask.apply(x[place.memory + i + k], words[k]);
                });
    }
  });
}

// Another dimension holds consecutive indices (the columns of channels-last data): words are drawn along it for several
// elements of the fastest one, then both are walked as memory lies.
template <class T>
void across_rows(const DropoutArgs& a, int along) {
  constexpr int64_t tile = 16;
  constexpr int64_t length = group_words - 3;  // at any alignment one group of blocks covers it
  const Collapsed& g = a.geometry;
  const int last = g.rank - 1;
  const int64_t n = g.extent[last], m = g.extent[along], parts = (m + length - 1) / length;
  const Mask<T> mask(a);
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  parallel_for(g.numel / (n * m) * parts, 1 + 4096 / (n * smaller(m, length)), [&](int64_t begin, int64_t end) {
    uint32_t words[tile][group_words], across[tile];
    int64_t skip[tile];
    for (int64_t unit = begin; unit < end; ++unit) {
      const Place place = place_of(g, unit / parts, last, along);
      const int64_t first = unit % parts * length, count = smaller(length, m - first);
      for (int64_t c = 0; c < n; c += tile) {
        const int64_t lanes = smaller(tile, n - c);
        for (int64_t l = 0; l < lanes; ++l) {
          const auto index = static_cast<uint64_t>(a.call.offset + place.index + first + (c + l) * g.stride[1][last]);
          skip[l] = static_cast<int64_t>(index & 3);
          draw_group(a.call, index >> 2, words[l]);
        }
        for (int64_t i = 0; i < count; ++i) {
          for (int64_t l = 0; l < lanes; ++l) across[l] = words[l][skip[l] + i];
          const int64_t at = place.memory + (first + i) * g.stride[0][along] + c;
          for (int64_t l = 0; l < lanes; ++l) y[at + l] = mask.apply(x[at + l], across[l]);
        }
      }
    }
  });
}

template <class T>
void dropout_of(const DropoutArgs& a) {
  const Collapsed& g = a.geometry;
  int along = g.rank - 1;
  for (int d = 0; d < g.rank; ++d)
    if (g.stride[1][d] == 1) along = d;
  if (along == g.rank - 1)
    along_rows<T>(a);
  else
    across_rows<T>(a, along);
}

void dropout(const DropoutArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { dropout_of<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(dropout_kernel, dropout); }
