// Elementwise operations of two operands.
#include "weft/tensor/ops/binary.h"

#include "weft/cuda/pairwise.cuh"

namespace weft::cuda {
namespace {

void binary(const BinaryArgs& args, Stream stream) {
  dispatch_all(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch_pairwise<T, T>("binary", args.op, args.p, args.numel, args.geometry, args.a, args.b, T{}, args.out, stream);
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(binary_kernel, weft::cuda::binary); }
