// Maxima with the position of the first one, and what their gradients need, on the host.
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

template <class C>
struct Best {
  C value;
  int64_t at;
};

// The best of n elements, numbered from `first`, put against `best`, which holds an earlier one if first > 0.
template <class T>
void scan(const T* x, int64_t stride, int64_t n, int64_t first, Best<Compute<T>>& best) {
  int64_t i = 0;
  if (first == 0) best = {static_cast<Compute<T>>(x[i++]), 0};
  for (; i < n; ++i) {
    const auto v = static_cast<Compute<T>>(x[i * stride]);
    if (beats(v, best.value)) best = {v, first + i};
  }
}

// The same for contiguous elements: blocks are first asked, side by side, whether they hold anything better.
template <class T>
void scan_contiguous(const T* x, int64_t n, int64_t first, Best<Compute<T>>& best) {
  constexpr int64_t block = 128;
  Compute<T> buffer[block];
  int64_t i = 0;
  if (first == 0) scan(x, 1, smaller(n, block), 0, best), i = smaller(n, block);
  for (; n - i >= block; i += block) {
    const Compute<T>* v = staged_in(x + i, 1, block, buffer);
    const Compute<T> bound = best.value;
    int32_t better = 0;
#pragma omp simd reduction(| : better)
    for (int64_t l = 0; l < block; ++l) better |= static_cast<int32_t>(v[l] > bound) | static_cast<int32_t>(v[l] != v[l]);
    if (better) scan(x + i, 1, block, first + i, best);
  }
  if (i < n) scan(x + i, 1, n - i, first + i, best);
}

template <class T>
void store_best(const MaxArgs& args, int64_t k, const Best<Compute<T>>& best) {
  if (args.values) static_cast<T*>(args.values)[k] = static_cast<T>(best.value);
  if (args.index) args.index[k] = best.at;
}

template <class T>
void max_rows(const MaxArgs& args) {
  using Found = Best<Compute<T>>;
  const Reduction& r = args.geometry;
  const T* const x = static_cast<const T*>(args.x);
  const Collapsed kept = kept_group(r), reduced = reduced_group(r);
  const int64_t step = reduced.stride[0][reduced.rank - 1];
  // Elements begin … end of one output. Numbers are flat positions, so chunks can be put together afterwards.
  const auto best_of = [&, step](const T* from, int64_t begin, int64_t end) {
    Found best{};
    int64_t seen = 0;
    for_rows<1>(reduced, begin, end, [&](const int64_t* offset, int64_t n) {
      step == 1 ? scan_contiguous(from + offset[0], n, seen, best) : scan(from + offset[0], step, n, seen, best);
      seen += n;
    });
    best.at += begin;
    return best;
  };
  const int64_t chunks = larger<int64_t>(1, smaller(r.reduced / (2 * grain), max_chunks));
  if (r.kept >= max_chunks || chunks == 1) {
    parallel_for(r.kept, larger<int64_t>(1, grain / r.reduced), [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) store_best<T>(args, k, best_of(x + offset_of(kept, 0, k), 0, r.reduced));
    });
    return;
  }
  for (int64_t k = 0; k < r.kept; ++k) {
    const T* const from = x + offset_of(kept, 0, k);
    Found found[max_chunks];
    parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) found[c] = best_of(from, r.reduced * c / chunks, r.reduced * (c + 1) / chunks);
    });
    for (int64_t c = 1; c < chunks; ++c)
      if (beats(found[c].value, found[0].value)) found[0] = found[c];
    store_best<T>(args, k, found[0]);
  }
}

// `width` neighbouring outputs side by side, down the rows. The row's number is kept in integers as wide as the values.
template <class T>
void max_columns(const MaxArgs& args) {
  using C = Compute<T>;
  using Number = std::conditional_t<sizeof(C) == 8, int64_t, int32_t>;
  const Reduction& r = args.geometry;
  const T* const x = static_cast<const T*>(args.x);
  const int64_t all = r.kept_extent[r.kept_rank - 1], tiles = (all + width - 1) / width;
  const Collapsed kept = outer_kept_group(r), reduced = reduced_group(r);
  const int64_t step = reduced.stride[0][reduced.rank - 1];
  parallel_for(kept.numel * tiles, larger<int64_t>(1, grain / (r.reduced * smaller(all, width))), [&](int64_t begin, int64_t end) {
    C best[width], buffer[width];
    Number at[width];
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first = piece % tiles * width, columns = smaller(width, all - first);
      const T* const from = x + offset_of(kept, 0, piece / tiles) + first;
      Number row = 0;
      for_rows<1>(reduced, 0, r.reduced, [&](const int64_t* offset, int64_t n) {
        for (int64_t i = 0; i < n; ++i, ++row) {
          const C* const v = staged_in(from + offset[0] + i * step, 1, columns, buffer);
          const bool fresh = row == 0;
#pragma omp simd
          for (int64_t j = 0; j < columns; ++j) {
            const bool better = fresh || beats(v[j], best[j]);
            best[j] = better ? v[j] : best[j];
            at[j] = better ? row : at[j];
          }
        }
      });
      for (int64_t j = 0; j < columns; ++j) store_best<T>(args, piece / tiles * all + first + j, {best[j], at[j]});
    }
  });
}

void max(const MaxArgs& args, Stream) {
  const bool columns = has_columns(args.geometry) && args.geometry.reduced < (int64_t{1} << 31);
  dispatch_all(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, bool>) columns ? max_columns<T>(args) : max_rows<T>(args);
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
