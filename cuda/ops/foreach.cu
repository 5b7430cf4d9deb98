// Operations on lists of tensors: many in one launch, in packs where the addresses of a tensor's operands allow it.
#include "weft/tensor/ops/foreach.h"

#include "weft/cuda/list.cuh"
#include "weft/cuda/reduce.cuh"
#include "weft/tensor/math.h"

namespace weft::cuda {
namespace {

template <class T>
constexpr int64_t axpby_chunk = int64_t{4} * list_threads* pack_size<T>;

template <class T>
__global__ void axpby_kernel_of(WEFT_GRID_CONSTANT List<ForeachItem> list, Compute<T> a, double b,
                                const double* factor) {
  using C = Compute<T>;
  const C scale = C(factor ? b * *factor : b);
  for (int64_t c = blockIdx.x; c < list.chunks(); c += gridDim.x) {
    const auto place = list.place(c, axpby_chunk<T>);
    T* const y = static_cast<T*>(list.item[place.k].y);
    const T* const x = static_cast<const T*>(list.item[place.k].x);
    const auto load = [&](auto n, int64_t i) {
      Packs<T, 2, n> value = {load_as<Pack<T, n>>(y + i), {}};
      if (x) value.of[1] = load_as<Pack<T, n>>(x + i);
      return value;
    };
    const auto use = [&](auto n, int64_t i, auto value) {
#pragma unroll
      for (int j = 0; j < n; ++j) {
        const C scaled = scale * C(value.of[0].v[j]);
        value.of[0].v[j] = T(x ? scaled + a * C(value.of[1].v[j]) : scaled);
      }
      store_as(y + i, value.of[0]);
    };
    for_elements<pack_size<T>>(place.begin, place.stop, holds_packs<T>(y, x), load, use);
  }
}

void axpby(const ForeachAxpbyArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_lists(args.count, args.items, axpby_chunk<T>, [&](const List<ForeachItem>& list) {
      launch("foreach_axpby", axpby_kernel_of<T>, grid_for_list(list, stream), stream, list, Compute<T>(args.a), args.b,
             args.factor);
    });
  });
}

/// The same thread takes the same elements whatever their addresses are, and so the sum has the same bits.
template <class T>
__global__ void squares_kernel_of(WEFT_GRID_CONSTANT List<ForeachItem> list, double* partials) {
  constexpr int N = pack_size<T>;
  for (int64_t chunk = blockIdx.x; chunk < list.chunks(); chunk += gridDim.x) {
    const auto place = list.place(chunk, foreach_chunk);
    const T* const x = static_cast<const T*>(list.item[place.k].y);
    const bool wide = holds_packs<T>(x);
    double sum = 0;
    const auto add = [&](int64_t, const Pack<T>& pack) {
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const double value = Compute<T>(pack.v[j]);
        sum += value * value;
      }
    };
    const int64_t step = int64_t{list_threads} * N;
    const int64_t whole = wide ? place.begin + (place.stop - place.begin) / N * N : place.begin;
    const int64_t next = for_ahead(
        place.begin + int64_t{threadIdx.x} * N, step, whole, [&](int64_t i) { return load_as<Pack<T>>(x + i); }, add);
    for_ahead(
        next, step, place.stop, [&](int64_t i) { return load4(x, i, place.stop, false); }, add);  // zeros past the end
    sum = reduce_lanes<Sum<double>>(sum, reduce_threads);
    if (threadIdx.x == 0) partials[chunk] = sum;
  }
}

void squares(const ForeachSquaresArgs& args, Stream stream) {
  static_assert(list_threads == reduce_threads);
  double* partials = args.partials;
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_lists(args.count, args.items, foreach_chunk, [&](const List<ForeachItem>& list) {
      launch("foreach_squares", squares_kernel_of<T>, grid_for_list(list, stream), stream, list, partials);
      partials += list.chunks();
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
