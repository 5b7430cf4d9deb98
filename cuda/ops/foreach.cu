// Operations on lists of tensors: many in one launch. The list travels in the kernel's arguments, in chunks that fit
// there; the elements of a chunk's tensors are numbered through, so that small tensors share the grid.
#include "weft/tensor/ops/foreach.h"

#include <algorithm>

#include "weft/cuda/launch.cuh"
#include "weft/cuda/reduce.cuh"
#include "weft/tensor/math.h"

namespace weft::cuda {
namespace {

constexpr int most = 96;  // items of one launch: 96 * 32 bytes of the 4 KiB that arguments may take

struct Items {
  ForeachItem item[most];
  int64_t end[most];  ///< of the item's elements, or chunks, numbered through the list
  int count;

  __device__ int64_t start(int k) const { return k == 0 ? 0 : end[k - 1]; }
};

/// Calls body(items) for every launch; `size`: what an item counts for.
template <class Size, class Body>
void for_launches(int64_t count, const ForeachItem* list, const Size& size, const Body& body) {
  for (int64_t first = 0; first < count; first += most) {
    Items items{};
    int64_t end = 0;
    for (int64_t k = first; k < std::min(count, first + most); ++k) {
      end += size(list[k]);
      items.item[items.count] = list[k];
      items.end[items.count++] = end;
    }
    body(items);
  }
}
int64_t total_of(const Items& items) { return items.end[items.count - 1]; }

template <class T>
__global__ void axpby_kernel_of(Items items, Compute<T> a, double b, const double* factor) {
  using C = Compute<T>;
  const C scale = C(factor ? b * *factor : b);
  int64_t i = thread_in_grid();
  for (int k = 0; k < items.count; ++k) {
    T* const y = static_cast<T*>(items.item[k].y);
    const T* const x = static_cast<const T*>(items.item[k].x);
    for (const int64_t start = items.start(k); i < items.end[k]; i += threads_in_grid()) {
      const C scaled = scale * C(y[i - start]);
      y[i - start] = T(x ? scaled + a * C(x[i - start]) : scaled);
    }
  }
}

void axpby(const ForeachAxpbyArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_launches(
        args.count, args.items, [](const ForeachItem& item) { return item.numel; },
        [&](const Items& items) {
          launch("foreach_axpby", axpby_kernel_of<T>, grid_for(total_of(items), stream), stream, items,
                 Compute<T>(args.a), args.b, args.factor);
        });
  });
}

/// A block for each chunk.
template <class T>
__global__ void squares_kernel_of(Items items, double* partials) {
  const int64_t chunks = items.end[items.count - 1];
  int k = 0;
  for (int64_t chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
    while (chunk >= items.end[k]) ++k;
    const T* const x = static_cast<const T*>(items.item[k].y);
    const int64_t first = (chunk - items.start(k)) * foreach_chunk;
    const int64_t end = smaller(items.item[k].numel, first + foreach_chunk);
    double sum = 0;
    for (int64_t i = first + threadIdx.x; i < end; i += reduce_threads) {
      const double value = Compute<T>(x[i]);
      sum += value * value;
    }
    sum = reduce_lanes<Sum<double>>(sum, reduce_threads);
    if (threadIdx.x == 0) partials[chunk] = sum;
  }
}

void squares(const ForeachSquaresArgs& args, Stream stream) {
  double* partials = args.partials;
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_launches(
        args.count, args.items,
        [](const ForeachItem& item) { return (item.numel + foreach_chunk - 1) / foreach_chunk; },
        [&](const Items& items) {
          launch("foreach_squares", squares_kernel_of<T>,
                 grid_for(total_of(items) * reduce_threads, stream, reduce_threads), stream, items, partials);
          partials += total_of(items);
        });
  });
}

/// One block.
__global__ void total_kernel_of(int64_t chunks, const double* partials, double max_norm, double* square, double* norm,
                                double* factor) {
  double sum = 0;
  for (int64_t c = threadIdx.x; c < chunks; c += reduce_threads) sum += partials[c];
  sum = reduce_lanes<Sum<double>>(sum, reduce_threads);
  if (threadIdx.x != 0) return;
  *square = sum;
  if (!factor) return;
  const double root = math::sqrt(sum), ratio = max_norm / (root + 1e-6);
  *norm = root;
  *factor = ratio > 1 ? 1 : ratio;
}

void total(const ForeachTotalArgs& args, Stream stream) {
  launch("foreach_total", total_kernel_of, Grid{.blocks = 1, .threads = reduce_threads}, stream, args.chunks,
         args.partials, args.max_norm, args.square, args.norm, args.factor);
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(foreach_axpby_kernel, weft::cuda::axpby);
  WEFT_PLUG(foreach_squares_kernel, weft::cuda::squares);
  WEFT_PLUG(foreach_total_kernel, weft::cuda::total);
}
