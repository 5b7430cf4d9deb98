// Maxima with the position of the first one, and what their gradients need, on the host.
#include <limits>

#include "weft/tensor/cpu/eights.h"
#include "weft/tensor/cpu/groups.h"
#include "weft/tensor/cpu/moves.h"

namespace weft {
namespace {

constexpr int64_t grain = 16384;
constexpr int64_t max_chunks = 64;
constexpr int64_t width = 128;

/// True if v takes the place of the best so far: it is larger, or the first NaN.
template <class C>
WEFT_INLINE bool beats(C v, C best) {
  return v > best || (v != v && best == best);
}

template <class W>
struct Best {
  W value;
  int64_t at;
};

// The best of n < 8 elements.
template <class W>
Best<W> best_of_few(const W* v, int64_t n) {
  Best<W> best{v[0], 0};
  for (int64_t i = 1; i < n; ++i) {
    const bool better = beats(v[i], best.value);
    best.value = better ? v[i] : best.value;
    best.at = better ? i : best.at;
  }
  return best;
}

// The best of n >= 8 elements: eight columns are searched side by side; the last eight may reach back over elements
// seen.
template <class W>
Best<W> best_of_many(const W* v, int64_t n) {
  using Numbers = Eight<NumberLike<W>>;
  const Numbers count = {0, 1, 2, 3, 4, 5, 6, 7};
  Eight<W> top = *eight_at(v);
  Numbers at = count, nans = top != top;
  for (int64_t i = 8; i < n; i += 8) {
    const int64_t first = smaller(i, n - 8);
    const Eight<W> x = *eight_at(v + first);
    const Numbers here = count + static_cast<NumberLike<W>>(first), better = x > top;
    top = better ? x : top;
    at = better ? here : at;
    nans |= x != x;
  }
  const Numbers flags = nans | __builtin_shufflevector(nans, nans, 4, 5, 6, 7, 0, 1, 2, 3);
  if (flags[0] | flags[1] | flags[2] | flags[3]) {
    int64_t i = 0;
    while (v[i] == v[i]) ++i;
    return {v[i], i};
  }
  Eight<W> other = __builtin_shufflevector(top, top, 4, 5, 6, 7, 0, 1, 2, 3), most = top > other ? top : other;
  other = __builtin_shufflevector(most, most, 2, 3, 0, 1, 6, 7, 4, 5), most = most > other ? most : other;
  other = __builtin_shufflevector(most, most, 1, 0, 3, 2, 5, 4, 7, 6), most = most > other ? most : other;
  Numbers place = top == most ? at : at * 0 + std::numeric_limits<NumberLike<W>>::max(), next;
  next = __builtin_shufflevector(place, place, 4, 5, 6, 7, 0, 1, 2, 3), place = place < next ? place : next;
  next = __builtin_shufflevector(place, place, 2, 3, 0, 1, 6, 7, 4, 5), place = place < next ? place : next;
  return {most[0], smaller<int64_t>(place[0], place[1])};
}

// The best of n elements, numbered from `first`, put against `best`, which holds an earlier one if first > 0.
template <class W>
WEFT_INLINE void scan(const W* v, int64_t n, int64_t first, Best<W>& best) {
  const Best<W> here = n < 8 ? best_of_few(v, n) : best_of_many(v, n);
  if (first == 0 || beats(here.value, best.value)) best = {here.value, first + here.at};
}

// The same for a stretch in memory.
template <class W>
void scan_stretch(const Access<W>& access, const void* x, int64_t stride, int64_t n, int64_t first, Best<W>& best) {
  W buffer[stage];
  for (int64_t i = 0; i < n; i += stage) {
    const int64_t m = smaller(stage, n - i);
    scan(access.load(access.at(x, i * stride), stride, m, buffer), m, first + i, best);
  }
}

template <class W>
struct Max {
  const MaxArgs& args;
  Access<W> access;

  const void* at(int64_t offset) const { return access.at(args.x, offset); }
  void store(int64_t k, W value, int64_t index) const {
    if (args.values) access.store(access.at(args.values, k), 1, 1, &value);
    if (args.index) args.index[k] = index;
  }
};

template <class W>
void max_rows(const Max<W>& max) {
  const Collapsed kept = kept_group(max.args.geometry), reduced = reduced_group(max.args.geometry);
  const int64_t step = reduced.stride[0][reduced.rank - 1];
  // Elements begin … end of one output, numbered from 0 as a whole, so that chunks can be put together afterwards.
  const auto best_of = [&](const void* x, int64_t begin, int64_t end) {
    Best<W> best{};
    if (reduced.rank == 1) {
      scan_stretch(max.access, max.access.at(x, begin * step), step, end - begin, 0, best);
      best.at += begin;
      return best;
    }
    int64_t seen = 0;
    for_rows<1>(reduced, begin, end, [&](const int64_t* offset, int64_t n) {
      scan_stretch(max.access, max.access.at(x, offset[0]), step, n, seen, best);
      seen += n;
    });
    best.at += begin;
    return best;
  };
  const int64_t chunks = larger<int64_t>(1, smaller(reduced.numel / (2 * grain), max_chunks));
  if (kept.numel >= max_chunks || chunks == 1) {
    parallel_for(kept.numel, larger<int64_t>(1, grain / reduced.numel), [&](int64_t begin, int64_t end) {
      int64_t k = begin;
      const int64_t kept_step = kept.stride[0][kept.rank - 1];
      for_rows<1>(kept, begin, end, [&](const int64_t* offset, int64_t n) {
        for (int64_t i = 0; i < n; ++i, ++k) {
          const Best<W> best = best_of(max.at(offset[0] + i * kept_step), 0, reduced.numel);
          max.store(k, best.value, best.at);
        }
      });
    });
    return;
  }
  for (int64_t k = 0; k < kept.numel; ++k) {
    const void* const x = max.at(offset_of(kept, 0, k));
    Best<W> best[max_chunks];
    parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c)
        best[c] = best_of(x, reduced.numel * c / chunks, reduced.numel * (c + 1) / chunks);
    });
    for (int64_t c = 1; c < chunks; ++c)
      if (beats(best[c].value, best[0].value)) best[0] = best[c];
    max.store(k, best[0].value, best[0].at);
  }
}

// `width` neighbouring outputs side by side, down the rows. The row's number is kept in integers as wide as the values.
template <class W>
void max_columns(const Max<W>& max) {
  using Number = std::conditional_t<sizeof(W) == 8, int64_t, int32_t>;
  const Reduction& r = max.args.geometry;
  const int64_t all = r.kept_extent[r.kept_rank - 1], tiles = (all + width - 1) / width;
  const Collapsed kept = outer_kept_group(r), reduced = reduced_group(r);
  const int64_t step = reduced.stride[0][reduced.rank - 1];
  const int64_t pieces = kept.numel * tiles;
  parallel_for(pieces, larger<int64_t>(1, grain / (r.reduced * smaller(all, width))), [&](int64_t begin, int64_t end) {
    W best[width], buffer[width];
    Number at[width];
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first = piece % tiles * width, columns = smaller(width, all - first);
      const void* const x = max.at(offset_of(kept, 0, piece / tiles) + first);
      Number row = 0;
      for_rows<1>(reduced, 0, r.reduced, [&](const int64_t* offset, int64_t n) {
        for (int64_t i = 0; i < n; ++i, ++row) {
          const W* const v = max.access.load(max.access.at(x, offset[0] + i * step), 1, columns, buffer);
          const bool fresh = row == 0;
#pragma omp simd
          for (int64_t j = 0; j < columns; ++j) {
            const bool better = fresh || beats(v[j], best[j]);
            best[j] = better ? v[j] : best[j];
            at[j] = better ? row : at[j];
          }
        }
      });
      for (int64_t j = 0; j < columns; ++j) max.store(piece / tiles * all + first + j, best[j], at[j]);
    }
  });
}

void max(const MaxArgs& args, Stream) {
  const bool columns = has_columns(args.geometry) && args.geometry.reduced < (int64_t{1} << 31);
  dispatch_access(args.dtype, [&]<class W>(const Access<W>& access) {
    const Max<W> max{args, access};
    columns ? max_columns(max) : max_rows(max);
  });
}

// Moved by size: an element is dy's or zero, and zero has no bits set in any dtype.
void max_backward(const MaxBackwardArgs& args, Stream) {
  const Collapsed& g = args.geometry;
  const int last = g.rank - 1;
  const int64_t dx_step = g.stride[0][last], dy_step = g.stride[1][last];
  const int64_t index_step = g.stride[2][last], position_step = g.stride[3][last];
  dispatch_size(size_of(args.dtype), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* const dy = static_cast<const T*>(args.dy);
    T* const dx = static_cast<T*>(args.dx);
    parallel_for(g.numel, grain, [&](int64_t begin, int64_t end) {
      for_rows<4>(g, begin, end, [&](const int64_t* offset, int64_t n) {
        for (int64_t i = 0; i < n; ++i) {
          const bool here = args.index[offset[2] + i * index_step] == offset[3] + i * position_step;
          dx[offset[0] + i * dx_step] = here ? dy[offset[1] + i * dy_step] : T(0);
        }
      });
    });
  });
}

void max_gather(const MaxGatherArgs& args, Stream) {
  const Collapsed kept = kept_group(args.geometry), reduced = reduced_group(args.geometry);
  dispatch_size(size_of(args.dtype), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* const x = static_cast<const T*>(args.x);
    T* const y = static_cast<T*>(args.y);
    parallel_for(kept.numel, grain / 8, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) y[k] = x[offset_of(kept, 0, k) + offset_of(reduced, 0, args.index[k])];
    });
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(weft::max_kernel, weft::max);
  WEFT_PLUG(weft::max_backward_kernel, weft::max_backward);
  WEFT_PLUG(weft::max_gather_kernel, weft::max_gather);
}
