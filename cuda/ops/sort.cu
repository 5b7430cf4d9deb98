// Sorting on the device: tiles of a row in shared memory by a bitonic network, then merges of neighbouring runs, in
// which every item finds its place by a binary search in the other run. Items are never equal, so any sort is stable.
// Batcher, "Sorting networks and their applications", 1968.
#include "weft/tensor/ops/sort.h"

#include <utility>

#include "weft/cuda/divide.cuh"
#include "weft/cuda/launch.cuh"
#include "weft/tensor/sort_key.h"

namespace weft::cuda {
namespace {

constexpr int threads = 256;
constexpr int tile = static_cast<int>(sort_short);  // items of a block

struct SortRows {
  int64_t rows, n, inner, count;
  bool descending;
  int run;           ///< items of a sorted run: a power of two up to `tile`
  int64_t runs;      ///< of a row
  Divider by_inner;  ///< row -> outer, inner
  Divider by_runs;   ///< run -> row, run of the row

  __device__ int64_t base(int64_t row, int64_t extent) const {
    const auto [outer, in] = by_inner(row);
    return outer * extent * inner + in;
  }
};

/// Place j of the sorted row is this item.
template <class T, class Item>
__device__ inline void put(const SortRows& r, int64_t row, int64_t j, const Item& item, const T* x, T* values,
                           int64_t* index) {
  const int64_t to = r.base(row, r.count) + j * r.inner;
  index[to] = item.position();
  if (values) values[to] = x[r.base(row, r.n) + item.position() * r.inner];
}

/// Sorts groups of `run` neighbours of the tile, each ascending.
template <class Item>
__device__ inline void sort_tile(Item* items, int run) {
  for (int size = 2; size <= run; size *= 2)
    for (int step = size / 2; step > 0; step /= 2) {
      for (int t = static_cast<int>(threadIdx.x); t < tile / 2; t += threads) {
        const int i = t / step * 2 * step + t % step;
        const bool ascending = (i & (run - 1) & size) == 0;
        const Item a = items[i], b = items[i + step];
        if ((b < a) == ascending) {
          items[i] = b;
          items[i + step] = a;
        }
      }
      barrier();
    }
}

/// Sorted runs into `out`; or, where a row is one run, the result.
template <class T, class Item>
__global__ void runs_kernel(SortRows r, const T* x, Item* out, T* values, int64_t* index) {
  WEFT_SHARED(Item, items, [tile]);
  const int64_t all = r.rows * r.runs;
  const int per_tile = tile / r.run;
  for (int64_t first = int64_t{blockIdx.x} * per_tile; first < all; first += int64_t{gridDim.x} * per_tile) {
    for (int i = static_cast<int>(threadIdx.x); i < tile; i += threads) {
      const auto [row, part] = r.by_runs(first + i / r.run);
      const int64_t at = part * r.run + i % r.run;
      items[i] = row < r.rows && at < r.n ? sort_item(x[r.base(row, r.n) + at * r.inner], at, r.descending)
                                          : last_sort_item<Item>();
    }
    barrier();
    sort_tile(items, r.run);
    for (int i = static_cast<int>(threadIdx.x); i < tile; i += threads) {
      const auto [row, part] = r.by_runs(first + i / r.run);
      const int64_t at = part * r.run + i % r.run;
      if (row >= r.rows || at >= r.n) continue;
      if (out)
        out[row * r.n + at] = items[i];
      else if (at < r.count)
        put(r, row, at, items[i], x, values, index);
    }
    barrier();
  }
}

/// Runs of `width` items become runs of twice that.
template <class Item>
__global__ void merge_kernel(int64_t numel, int64_t n, Divider by_n, int64_t width, const Item* from, Item* to) {
  for (int64_t i = thread_in_grid(); i < numel; i += threads_in_grid()) {
    const auto [row, at] = by_n(i);
    const Item* const items = from + row * n;
    const Item item = items[at];
    const int64_t run = at / width * width, pair = at / (2 * width) * (2 * width);
    const int64_t other = run == pair ? smaller(run + width, n) : pair;
    int64_t low = other, high = smaller(other + width, n);
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (items[middle] < item)
        low = middle + 1;
      else
        high = middle;
    }
    to[row * n + pair + (at - run) + (low - other)] = item;
  }
}

template <class T, class Item>
__global__ void take_kernel(SortRows r, Divider by_count, const Item* items, const T* x, T* values, int64_t* index) {
  for (int64_t i = thread_in_grid(); i < r.rows * r.count; i += threads_in_grid()) {
    const auto [row, j] = by_count(i);
    put(r, row, j, items[row * r.n + j], x, values, index);
  }
}

SortRows rows_of(const SortArgs& args) {
  SortRows r = {};
  r.rows = args.outer * args.inner;
  r.n = args.n;
  r.inner = args.inner;
  r.count = args.count;
  r.descending = args.descending;
  r.run = 2;
  while (r.run < tile && r.run < args.n) r.run *= 2;
  r.runs = (args.n + r.run - 1) / r.run;
  r.by_inner = Divider(args.inner, r.rows);
  r.by_runs = Divider(r.runs, r.rows * r.runs + tile);
  return r;
}

template <class T>
void sort_as(const SortArgs& args, Stream stream) {
  using Item = SortItem<T>;
  const SortRows r = rows_of(args);
  const auto* x = static_cast<const T*>(args.x);
  auto* values = static_cast<T*>(args.values);
  const int64_t tiles = (r.rows * r.runs * r.run + tile - 1) / tile, numel = r.rows * r.n;
  auto* from = r.runs > 1 ? static_cast<Item*>(args.scratch) : nullptr;
  Item* to = from + (from ? numel : 0);
  launch("sort", runs_kernel<T, Item>, grid_for(tiles * threads, stream, threads), stream, r, x, from, values,
         args.index);
  if (!from) return;
  for (int64_t width = r.run; width < r.n; width *= 2) {
    launch("sort", merge_kernel<Item>, grid_for(numel, stream), stream, numel, r.n, Divider(r.n, numel), width, from,
           to);
    std::swap(from, to);
  }
  launch("sort", take_kernel<T, Item>, grid_for(r.rows * r.count, stream), stream, r,
         Divider(r.count, r.rows * r.count), from, x, values, args.index);
}

void sort(const SortArgs& args, Stream stream) {
  dispatch_all(args.dtype, [&](auto tag) { sort_as<typename decltype(tag)::type>(args, stream); });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(sort_kernel, weft::cuda::sort); }
