// Sums on the host; maxima are in reduce_max.cpp.
//
// Note [Fixed chunks]: the reduced elements of every output are cut into chunks whose number depends on sizes alone;
// each chunk is summed in one order (short runs in floats side by side, runs together in double), and chunks are added
// in order. Threads only decide who computes which chunk, so bits never depend on them.
#include "weft/tensor/ops/reduce.h"

#include "weft/tensor/cpu/eights.h"
#include "weft/tensor/cpu/groups.h"

namespace weft {
namespace {

constexpr int64_t grain = 32768;
constexpr int64_t max_chunks = 64;
constexpr int64_t width = 128;      // columns that are summed side by side
constexpr int64_t run_length = 16;  // values added in a lane before it goes to the total

/// What a sum of W is held in, beyond a short run of it.
template <class W>
using Total = std::conditional_t<std::is_integral_v<W>, int64_t, double>;

template <class W>
struct Sum {
  const SumArgs& args;
  Access<W> access;

  const void* at(int64_t offset) const { return access.at(args.x, offset); }
  const W* load(const void* x, int64_t offset, int64_t stride, int64_t n, W* buffer) const {
    return access.load(access.at(x, offset), stride, n, buffer);
  }
  // n <= width sums to outputs from k on.
  void store(int64_t k, const Total<W>* total, int64_t n) const {
    if constexpr (std::is_integral_v<W>) {
      for (int64_t j = 0; j < n; ++j) static_cast<int64_t*>(args.y)[k + j] = total[j];
    } else {
      W values[width];
      for (int64_t j = 0; j < n; ++j) values[j] = static_cast<W>(total[j] / args.divisor);
      access.store(access.at(args.y, k), 1, n, values);
    }
  }
};

int64_t chunks_of(int64_t elements) { return larger<int64_t>(1, smaller(elements / (2 * grain), max_chunks)); }

// n elements, `stride` apart: four eights side by side, then the eights that are left, then single ones.
template <class W>
Total<W> sum_stretch(const Sum<W>& sum, const void* x, int64_t stride, int64_t n) {
  using Totals = Eight<Total<W>>;
  W buffer[stage];
  Total<W> rest = 0;
  if (n < 8) {  // rows of colours: not worth a vector
    const W* const v = sum.load(x, 0, stride, n, buffer);
    for (int64_t i = 0; i < n; ++i) rest += static_cast<Total<W>>(v[i]);
    return rest;
  }
  Totals totals = {};
  for (int64_t i = 0; i < n; i += stage) {
    const int64_t m = smaller(stage, n - i);
    const W* const v = sum.load(x, i * stride, stride, m, buffer);
    Eight<W> a = {}, b = {}, c = {}, d = {};
    int64_t at = 0;
    for (; at + 32 <= m; at += 32) {
      a += *eight_at(v + at);
      b += *eight_at(v + at + 8);
      c += *eight_at(v + at + 16);
      d += *eight_at(v + at + 24);
    }
    for (; at + 8 <= m; at += 8) a += *eight_at(v + at);
    totals += __builtin_convertvector(a, Totals) + __builtin_convertvector(b, Totals);
    totals += __builtin_convertvector(c, Totals) + __builtin_convertvector(d, Totals);
    for (; at < m; ++at) rest += static_cast<Total<W>>(v[at]);
  }
  const Totals& t = totals;
  return rest + (((t[0] + t[4]) + (t[2] + t[6])) + ((t[1] + t[5]) + (t[3] + t[7])));
}

// One output at a time: the reduced elements are its rows.
template <class W>
class RowSum {
 public:
  explicit RowSum(const Sum<W>& sum)
      : sum_(sum),
        kept_(kept_group(sum.args.geometry)),
        reduced_(reduced_group(sum.args.geometry)),
        step_(reduced_.stride[0][reduced_.rank - 1]),
        chunks_(chunks_of(reduced_.numel)) {}

  void run() const {
    if (kept_.numel < max_chunks && chunks_ > 1) return share_chunks();
    parallel_for(kept_.numel, larger<int64_t>(1, grain / reduced_.numel), [this](int64_t begin, int64_t end) {
      int64_t k = begin;
      const int64_t kept_step = kept_.stride[0][kept_.rank - 1];
      for_rows<1>(kept_, begin, end, [&, this](const int64_t* offset, int64_t n) {
        Total<W> sums[width];
        for (int64_t i = 0; i < n; i += width) {
          const int64_t m = smaller(width, n - i);
          for (int64_t j = 0; j < m; ++j) sums[j] = total(sum_.at(offset[0] + (i + j) * kept_step));
          sum_.store(k, sums, m);
          k += m;
        }
      });
    });
  }

 private:
  Total<W> total(const void* x) const {
    if (reduced_.rank == 1 && chunks_ == 1) return sum_stretch(sum_, x, step_, reduced_.numel);
    Total<W> total = 0;
    for (int64_t c = 0; c < chunks_; ++c) total += chunk(x, c);
    return total;
  }
  Total<W> chunk(const void* x, int64_t c) const {
    Total<W> total = 0;
    for_rows<1>(
        reduced_, reduced_.numel * c / chunks_, reduced_.numel * (c + 1) / chunks_,
        [&](const int64_t* offset, int64_t n) { total += sum_stretch(sum_, sum_.access.at(x, offset[0]), step_, n); });
    return total;
  }
  // Few outputs of many elements: all cores work on one of them.
  void share_chunks() const {
    for (int64_t k = 0; k < kept_.numel; ++k) {
      const void* const x = sum_.at(offset_of(kept_, 0, k));
      Total<W> part[max_chunks];
      parallel_for(chunks_, 1, [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) part[c] = chunk(x, c);
      });
      for (int64_t c = 1; c < chunks_; ++c) part[0] += part[c];
      sum_.store(k, part, 1);
    }
  }

  const Sum<W>& sum_;
  Collapsed kept_, reduced_;
  int64_t step_, chunks_;
};

// The last kept dimension is contiguous: tiles of its outputs are summed side by side, down the rows. Where rows are
// short and follow each other without a gap, `fold` of them count as one, folded together at the end.
template <class W>
class ColumnSum {
 public:
  explicit ColumnSum(const Sum<W>& sum)
      : sum_(sum),
        all_(sum.args.geometry.kept_extent[sum.args.geometry.kept_rank - 1]),
        tiles_((all_ + width - 1) / width),
        kept_(outer_kept_group(sum.args.geometry)),
        rows_(reduced_group(sum.args.geometry)),
        step_(rows_.stride[0][rows_.rank - 1]),
        fold_(tiles_ == 1 && step_ == all_ ? width / all_ : 1),
        chunks_(chunks_of(rows_.numel * smaller(all_, width))) {}

  void run() const {
    const int64_t pieces = kept_.numel * tiles_;
    if (pieces < max_chunks && chunks_ > 1) {
      for (int64_t piece = 0; piece < pieces; ++piece) share_chunks(piece);
      return;
    }
    const int64_t work = rows_.numel * smaller(all_, width);
    parallel_for(pieces, larger<int64_t>(1, grain / work), [this](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        Total<W> total[width], part[width];
        chunk(piece, 0, total);
        for (int64_t c = 1; c < chunks_; ++c) {
          chunk(piece, c, part);
          for (int64_t j = 0; j < columns(piece); ++j) total[j] += part[j];
        }
        store(piece, total);
      }
    });
  }

 private:
  int64_t first(int64_t piece) const { return piece % tiles_ * width; }
  int64_t columns(int64_t piece) const { return smaller(width, all_ - first(piece)); }

  void add_run(const void* x, int64_t count, int64_t n, int64_t stride, Total<W>* total) const {
    W lane[width] = {}, buffer[width];
    for (int64_t i = 0; i < count; ++i) {
      const W* const v = sum_.load(x, i * stride, 1, n, buffer);
#pragma omp simd
      for (int64_t j = 0; j < n; ++j) lane[j] += v[j];
    }
    for (int64_t j = 0; j < n; ++j) total[j] += static_cast<Total<W>>(lane[j]);
  }
  // n rows, step_ apart.
  void add_rows(const void* x, int64_t n, int64_t wide, Total<W>* total) const {
    while (fold_ > 1 && n >= fold_) {
      const int64_t count = smaller(n / fold_, run_length);
      add_run(x, count, wide * fold_, wide * fold_, total);
      x = sum_.access.at(x, count * wide * fold_);
      n -= count * fold_;
    }
    while (n > 0) {
      const int64_t count = smaller(n, run_length);
      add_run(x, count, wide, step_, total);
      x = sum_.access.at(x, count * step_);
      n -= count;
    }
  }
  // One total per column of the piece, over the rows of chunk c.
  void chunk(int64_t piece, int64_t c, Total<W>* total) const {
    const int64_t wide = columns(piece);
    const void* const x = sum_.at(offset_of(kept_, 0, piece / tiles_) + first(piece));
    for (int64_t j = 0; j < wide * fold_; ++j) total[j] = 0;
    for_rows<1>(rows_, rows_.numel * c / chunks_, rows_.numel * (c + 1) / chunks_,
                [&](const int64_t* offset, int64_t n) { add_rows(sum_.access.at(x, offset[0]), n, wide, total); });
    for (int64_t f = 1; f < fold_; ++f)
      for (int64_t j = 0; j < wide; ++j) total[j] += total[f * wide + j];
  }
  void store(int64_t piece, const Total<W>* total) const {
    sum_.store(piece / tiles_ * all_ + first(piece), total, columns(piece));
  }
  void share_chunks(int64_t piece) const {
    Total<W> part[max_chunks][width];
    parallel_for(chunks_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) chunk(piece, c, part[c]);
    });
    for (int64_t c = 1; c < chunks_; ++c)
      for (int64_t j = 0; j < columns(piece); ++j) part[0][j] += part[c][j];
    store(piece, part[0]);
  }

  const Sum<W>& sum_;
  int64_t all_, tiles_;
  Collapsed kept_, rows_;
  int64_t step_, fold_, chunks_;
};

void sum(const SumArgs& args, Stream) {
  dispatch_access(args.dtype, [&]<class W>(const Access<W>& access) {
    const Sum<W> sum{args, access};
    has_columns(args.geometry) ? ColumnSum<W>(sum).run() : RowSum<W>(sum).run();
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(weft::sum_kernel, weft::sum); }
