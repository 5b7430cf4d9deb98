// dropout: the mask is drawn where it is used.
#include "weft/tensor/ops/dropout.h"

#include "weft/cuda/draws.cuh"
#include "weft/cuda/walk.cuh"

namespace weft::cuda {
namespace {

/// Neighbours in memory are neighbours in the order of draws where the walk is packed. (Operand 0 of the walk is x and
/// y, operand 1 the draws.)
template <class T>
__global__ void dropout_kernel_of(Walk<2> walk, RandomCall call, uint64_t threshold, Compute<T> scale, const T* x,
                                  T* y) {
  using C = Compute<T>;
  const auto load = [&](auto n, const auto& offsets) { return load_as<Pack<T, n>>(x + offsets.at[0]); };
  for_walked<pack_size<T>>(walk, load, [&](auto n, const auto& offsets, auto pack) {
    Draws draws(call);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const bool keep = draws.word(static_cast<uint64_t>(call.offset + offsets.at[1]) + j) >= threshold;
      pack.v[j] = T(keep ? C(pack.v[j]) * scale : C(0));
    }
    store_as(y + offsets.at[0], pack);
  });
}

void dropout(const DropoutArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int width = pack_size<T>;
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
