// where: picks elements of one of two operands, moved as bytes.
#include "weft/tensor/ops/where.h"

#include "weft/cuda/walk.cuh"
#include "weft/cuda/word.h"

namespace weft::cuda {
namespace {

constexpr int width = 4;

/// a (or b) may be null: then every element of it is `a_word`.
template <class U>
__global__ void where_kernel_of(Walk<4> walk, const bool* condition, const U* a, const U* b, U a_word, U b_word,
                                U* out) {
  for_walked<width>(
      walk,
      [&](const auto& offset) {
        const auto holds = load_walked<bool, width>(condition, offset.at[1], walk.is_splat(1));
        const auto first = a ? load_walked<U, width>(a, offset.at[2], walk.is_splat(2)) : splat<U, width>(a_word);
        auto result = b ? load_walked<U, width>(b, offset.at[3], walk.is_splat(3)) : splat<U, width>(b_word);
#pragma unroll
        for (int j = 0; j < width; ++j) result.v[j] = holds.v[j] ? first.v[j] : result.v[j];
        store_as(out + offset.at[0], result);
      },
      [&](const auto& offset) {
        out[offset.at[0]] = condition[offset.at[1]] ? (a ? a[offset.at[2]] : a_word) : (b ? b[offset.at[3]] : b_word);
      });
}

void where(const WhereArgs& args, Stream stream) {
  dispatch_word(args.element_size, [&](auto tag) {
    using U = typename decltype(tag)::type;
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
