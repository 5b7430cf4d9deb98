// Sums on the host; maxima are in reduce_max.cpp.
//
// Note [Fixed chunks]: the reduced elements of every output are cut into chunks whose number depends on sizes alone; each
// chunk is summed in one order (short runs in floats side by side, runs together in double), and chunks are added in
// order. Threads only decide who computes which chunk, so bits never depend on them.
#include "weft/tensor/ops/reduce.h"

#include "weft/tensor/cpu/groups.h"

namespace weft {
namespace {

constexpr int64_t grain = 32768;
constexpr int64_t max_chunks = 64;
constexpr int64_t width = 128;  // columns that are summed side by side
constexpr int64_t run = 64;     // rows added in a lane before it goes to the total

/// What a sum of T is held in: a lane for a short run, a total for everything.
template <class T>
struct Sums {
  using Lane = std::conditional_t<std::is_integral_v<T>, int64_t, Compute<T>>;
  using Total = std::conditional_t<std::is_integral_v<T>, int64_t, double>;
};

template <class T>
WEFT_INLINE void store_sum(typename Sums<T>::Total total, double divisor, void* y, int64_t k) {
  if constexpr (std::is_integral_v<T>) {
    static_cast<int64_t*>(y)[k] = total;
  } else {
    static_cast<T*>(y)[k] = static_cast<T>(static_cast<Compute<T>>(total / divisor));
  }
}

int64_t chunks_of(int64_t elements) { return larger<int64_t>(1, smaller(elements / (2 * grain), max_chunks)); }

// n contiguous elements. Lanes side by side keep the additions independent; each sums at most `run` values at a time.
template <class T>
typename Sums<T>::Total sum_contiguous(const T* x, int64_t n) {
  using Lane = typename Sums<T>::Lane;
  using Total = typename Sums<T>::Total;
  constexpr int64_t lanes = 32;
  Total total = 0;
  Lane buffer[stage];
  int64_t i = 0;
  while (n - i >= lanes) {
    const int64_t rows = smaller((n - i) / lanes, run);
    Lane lane[lanes] = {};
    for (int64_t r = 0; r < rows; ++r, i += lanes) {
      if constexpr (std::is_same_v<Lane, T>) {
#pragma omp simd
        for (int64_t l = 0; l < lanes; ++l) lane[l] += x[i + l];
      } else {
        convert_run(x + i, buffer, lanes);
#pragma omp simd
        for (int64_t l = 0; l < lanes; ++l) lane[l] += buffer[l];
      }
    }
    for (int64_t l = 0; l < lanes; ++l) total += static_cast<Total>(lane[l]);
  }
  for (; i < n; ++i) total += static_cast<Total>(static_cast<Lane>(x[i]));
  return total;
}

template <class T>
typename Sums<T>::Total sum_strided(const T* x, int64_t stride, int64_t n) {
  using Lane = typename Sums<T>::Lane;
  typename Sums<T>::Total total = 0;
  for (int64_t i = 0; i < n; ++i) total += static_cast<typename Sums<T>::Total>(static_cast<Lane>(x[i * stride]));
  return total;
}

// One output at a time: the reduced elements are its rows.
template <class T>
void sum_rows(const SumArgs& args) {
  using Total = typename Sums<T>::Total;
  const Reduction& r = args.geometry;
  const T* const x = static_cast<const T*>(args.x);
  const Collapsed kept = kept_group(r);
  const Collapsed reduced = reduced_group(r);
  const int64_t step = reduced.stride[0][reduced.rank - 1];
  const int64_t chunks = chunks_of(r.reduced);
  const auto stretch_sum = [step](const T* from, int64_t n) {
    return step == 1 ? sum_contiguous(from, n) : sum_strided(from, step, n);
  };
  const auto chunk_sum = [=, &reduced](const T* from, int64_t c) {
    Total total = 0;
    for_rows<1>(reduced, reduced.numel * c / chunks, reduced.numel * (c + 1) / chunks,
                [&](const int64_t* offset, int64_t n) { total += stretch_sum(from + offset[0], n); });
    return total;
  };
  if (r.kept >= max_chunks || chunks == 1) {
    const int64_t kept_step = kept.stride[0][kept.rank - 1];
    const bool one_stretch = reduced.rank == 1 && chunks == 1;
    parallel_for(r.kept, larger<int64_t>(1, grain / r.reduced), [&](int64_t begin, int64_t end) {
      int64_t k = begin;
      for_rows<1>(kept, begin, end, [&](const int64_t* offset, int64_t n) {
        for (int64_t i = 0; i < n; ++i, ++k) {
          const T* const from = x + offset[0] + i * kept_step;
          Total total = 0;
          if (one_stretch) {
            total = stretch_sum(from, reduced.numel);
          } else {
            for (int64_t c = 0; c < chunks; ++c) total += chunk_sum(from, c);
          }
          store_sum<T>(total, args.divisor, args.y, k);
        }
      });
    });
    return;
  }
  for (int64_t k = 0; k < r.kept; ++k) {
    const T* const from = x + offset_of(kept, 0, k);
    Total part[max_chunks];
    parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) part[c] = chunk_sum(from, c);
    });
    Total total = 0;
    for (int64_t c = 0; c < chunks; ++c) total += part[c];
    store_sum<T>(total, args.divisor, args.y, k);
  }
}

// The last kept dimension is contiguous: `columns` outputs are summed side by side, down the rows. Where rows follow each
// other without a gap and are short, `fold` of them count as one row of columns * fold, folded together at the end.
template <class T>
struct ColumnSum {
  using Lane = typename Sums<T>::Lane;
  using Total = typename Sums<T>::Total;
  int64_t columns, fold;
  Collapsed rows;
  int64_t step;  // between rows
  Total total[width];

  void add_row(const T* x, int64_t n, Lane* lane) const {
    if constexpr (std::is_same_v<Lane, T>) {
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) lane[j] += x[j];
    } else {
      Lane buffer[width];
      convert_run(x, buffer, n);
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) lane[j] += buffer[j];
    }
  }
  void add_run(const T* x, int64_t count, int64_t n, int64_t stride) {
    Lane lane[width] = {};
    for (int64_t i = 0; i < count; ++i) add_row(x + i * stride, n, lane);
    for (int64_t j = 0; j < n; ++j) total[j] += static_cast<Total>(lane[j]);
  }
  // n rows, `step` apart.
  void add_rows(const T* x, int64_t n) {
    const int64_t wide = columns * fold;
    while (fold > 1 && n >= fold) {
      const int64_t count = smaller(n / fold, run);
      add_run(x, count, wide, wide);
      x += count * wide;
      n -= count * fold;
    }
    while (n > 0) {
      const int64_t count = smaller(n, run);
      add_run(x, count, columns, step);
      x += count * step;
      n -= count;
    }
  }
  // Rows begin … end of the chunk, then one total per column in total[0 … columns).
  void sum(const T* x, int64_t begin, int64_t end) {
    for (auto& t : total) t = 0;
    for_rows<1>(rows, begin, end, [&](const int64_t* offset, int64_t n) { add_rows(x + offset[0], n); });
    for (int64_t f = 1; f < fold; ++f)
      for (int64_t j = 0; j < columns; ++j) total[j] += total[f * columns + j];
  }
};

template <class T>
void sum_columns(const SumArgs& args) {
  using Total = typename Sums<T>::Total;
  const Reduction& r = args.geometry;
  const T* const x = static_cast<const T*>(args.x);
  const int64_t all = r.kept_extent[r.kept_rank - 1];
  const int64_t tiles = (all + width - 1) / width;
  const Collapsed kept = outer_kept_group(r);
  const Collapsed reduced = reduced_group(r);
  const int64_t step = reduced.stride[0][reduced.rank - 1];
  const int64_t chunks = chunks_of(r.reduced * smaller(all, width));
  const int64_t pieces = kept.numel * tiles;
  const auto sum_chunk = [&](int64_t piece, int64_t c, ColumnSum<T>& sums) {
    const int64_t first = piece % tiles * width;
    sums.columns = smaller(width, all - first);
    sums.fold = tiles == 1 && step == all ? width / all : 1;
    sums.rows = reduced;
    sums.step = step;
    sums.sum(x + offset_of(kept, 0, piece / tiles) + first, r.reduced * c / chunks, r.reduced * (c + 1) / chunks);
  };
  const auto store = [&](int64_t piece, const Total* total) {
    const int64_t first = piece % tiles * width, k = piece / tiles * all + first;
    for (int64_t j = 0; j < smaller(width, all - first); ++j) store_sum<T>(total[j], args.divisor, args.y, k + j);
  };
  if (pieces >= max_chunks || chunks == 1) {
    parallel_for(pieces, larger<int64_t>(1, grain / (r.reduced * smaller(all, width))), [&](int64_t begin, int64_t end) {
      ColumnSum<T> sums;
      for (int64_t piece = begin; piece < end; ++piece) {
        Total total[width] = {};
        for (int64_t c = 0; c < chunks; ++c) {
          sum_chunk(piece, c, sums);
          for (int64_t j = 0; j < sums.columns; ++j) total[j] += sums.total[j];
        }
        store(piece, total);
      }
    });
    return;
  }
  for (int64_t piece = 0; piece < pieces; ++piece) {
    Total part[max_chunks][width];
    parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
      ColumnSum<T> sums;
      for (int64_t c = begin; c < end; ++c) {
        sum_chunk(piece, c, sums);
        for (int64_t j = 0; j < sums.columns; ++j) part[c][j] = sums.total[j];
      }
    });
    Total total[width] = {};
    for (int64_t c = 0; c < chunks; ++c)
      for (int64_t j = 0; j < smaller(width, all); ++j) total[j] += part[c][j];
    store(piece, total);
  }
}

void sum(const SumArgs& args, Stream) {
  dispatch_all(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    has_columns(args.geometry) ? sum_columns<T>(args) : sum_rows<T>(args);
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(weft::sum_kernel, weft::sum); }
