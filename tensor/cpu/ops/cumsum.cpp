// Running sums. Every total is held in double (integers: i64) and grows element by element, so bits depend neither on
// threads nor on the layout.
#include "weft/tensor/ops/cumsum.h"

#include "weft/tensor/cpu/strided.h"

namespace weft {
namespace {

constexpr int64_t grain = 16384;
constexpr int64_t width = 128;  // columns that are summed side by side

template <class W>
using Total = std::conditional_t<std::is_integral_v<W>, int64_t, double>;

template <class W>
struct Cumsum {
  const CumsumArgs& args;
  Access<W> from, to;

  // One row: its elements lie next to each other.
  void row(int64_t start) const {
    W buffer[stage], sums[stage];
    Total<W> total = 0;
    for (int64_t done = 0; done < args.n; done += stage) {
      const int64_t m = smaller(stage, args.n - done);
      const int64_t first = start + (args.reverse ? args.n - done - m : done);
      const W* const x = from.load(from.at(args.x, first), 1, m, buffer);
      for (int64_t k = 0; k < m; ++k) {
        const int64_t i = args.reverse ? m - 1 - k : k;
        total += static_cast<Total<W>>(x[i]);
        sums[i] = static_cast<W>(total);
      }
      to.store(to.at(args.y, first), 1, m, sums);
    }
  }

  // `count` columns, side by side in memory.
  void columns(int64_t start, int64_t count) const {
    W buffer[width], sums[width];
    Total<W> total[width] = {};
    for (int64_t k = 0; k < args.n; ++k) {
      const int64_t at = start + (args.reverse ? args.n - 1 - k : k) * args.inner;
      const W* const x = from.load(from.at(args.x, at), 1, count, buffer);
#pragma omp simd
      for (int64_t j = 0; j < count; ++j) {
        total[j] += static_cast<Total<W>>(x[j]);
        sums[j] = static_cast<W>(total[j]);
      }
      to.store(to.at(args.y, at), 1, count, sums);
    }
  }

  void run() const {
    if (args.inner == 1) {
      parallel_for(args.outer, larger<int64_t>(1, grain / args.n), [this](int64_t begin, int64_t end) {
        for (int64_t o = begin; o < end; ++o) row(o * args.n);
      });
      return;
    }
    const int64_t tiles = (args.inner + width - 1) / width;
    const int64_t work = args.n * smaller(width, args.inner);
    parallel_for(args.outer * tiles, larger<int64_t>(1, grain / work), [this, tiles](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        const int64_t first = piece % tiles * width;
        columns(piece / tiles * args.n * args.inner + first, smaller(width, args.inner - first));
      }
    });
  }
};

void cumsum(const CumsumArgs& args, Stream) {
  dispatch_access(args.dtype, [&]<class W>(const Access<W>& access) {
    if constexpr (std::is_integral_v<W>)
      Cumsum<W>{args, access, access_as<int64_t, int64_t>}.run();
    else
      Cumsum<W>{args, access, access}.run();
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(weft::cumsum_kernel, weft::cumsum); }
