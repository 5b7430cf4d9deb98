// dropout: the mask is drawn where it is used.
#include "weft/tensor/ops/dropout.h"

#include "weft/cuda/draws.cuh"
#include "weft/cuda/walk.cuh"

namespace weft::cuda {
namespace {

constexpr int width = 4;  // as many as a block of Philox has words

/// Neighbours in memory are neighbours in the order of draws where the walk is packed.
template <class T>
__global__ void dropout_kernel_of(Walk<2> walk, RandomCall call, uint64_t threshold, Compute<T> scale, const T* x,
                                  T* y) {
  using C = Compute<T>;
  const auto first = static_cast<uint64_t>(call.offset);
  for_walked<width>(
      walk,
      [&](const auto& offset) {
        Draws draws(call);
        auto pack = load_as<Pack<T, width>>(x + offset.at[0]);
#pragma unroll
        for (int j = 0; j < width; ++j) {
          const bool keep = draws.word(first + static_cast<uint64_t>(offset.at[1]) + j) >= threshold;
          pack.v[j] = T(keep ? C(pack.v[j]) * scale : C(0));
        }
        store_as(y + offset.at[0], pack);
      },
      [&](const auto& offset) {
        const bool keep = philox::word_of(call, first + static_cast<uint64_t>(offset.at[1])) >= threshold;
        y[offset.at[0]] = T(keep ? C(x[offset.at[0]]) * scale : C(0));
      });
}

void dropout(const DropoutArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto* x = static_cast<const T*>(args.x);
    auto* y = static_cast<T*>(args.y);
    Walk<2> walk = walk_of<2>(args.geometry, {walked<T, width>(y), {nullptr, 1}}, width);
    walk.packed = walk.packed && holds_packs<T, width>(x) && args.geometry.stride[1][args.geometry.rank - 1] == 1;
    launch("dropout", dropout_kernel_of<T>, grid_for_walk(walk, width, stream), stream, walk, args.call, args.threshold,
           static_cast<Compute<T>>(args.scale), x, y);
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(dropout_kernel, weft::cuda::dropout); }
