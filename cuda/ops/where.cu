// where: picks elements of one of two operands, moved as bytes.
#include "weft/tensor/ops/where.h"

#include "weft/cuda/walk.cuh"
#include "weft/cuda/word.h"

namespace weft::cuda {
namespace {

template <class U, int N>
struct Choice {
  Pack<bool, N> condition;
  Pack<U, N> a, b;
};

/// a (or b) may be null: then every element of it is `a_word`.
template <class U>
__global__ void where_kernel_of(Walk<4> walk, const bool* condition, const U* a, const U* b, U a_word, U b_word,
                                U* out) {
  const auto load = [&](auto n, const auto& offsets) {
    return Choice<U, n>{load_walked<n>(walk, offsets, 1, condition),
                        a ? load_walked<n>(walk, offsets, 2, a) : splat<U, n>(a_word),
                        b ? load_walked<n>(walk, offsets, 3, b) : splat<U, n>(b_word)};
  };
  for_walked<pack_size<U>>(walk, load, [&](auto n, const auto& offsets, const auto& choice) {
    Pack<U, n> result;
#pragma unroll
    for (int j = 0; j < n; ++j) result.v[j] = choice.condition.v[j] ? choice.a.v[j] : choice.b.v[j];
    store_as(out + offsets.at[0], result);
  });
}

void where(const WhereArgs& args, Stream stream) {
  dispatch_word(args.element_size, [&](auto tag) {
    using U = typename decltype(tag)::type;
    constexpr int width = pack_size<U>;
    const Walk<4> walk = walk_of<4>(args.geometry, args.numel,
                                    {walked<U, width>(args.out), walked<bool, width>(args.condition),
                                     walked<U, width>(args.a), walked<U, width>(args.b)},
                                    width);
    launch("where", where_kernel_of<U>, grid_for_walk(walk, width, stream), stream, walk,
           static_cast<const bool*>(args.condition), static_cast<const U*>(args.a), static_cast<const U*>(args.b),
           static_cast<U>(args.a_bits), static_cast<U>(args.b_bits), static_cast<U*>(args.out));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(where_kernel, weft::cuda::where); }
