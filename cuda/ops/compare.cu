// Comparisons of two operands, or of one with a number.
#include "weft/cuda/pairwise.cuh"
#include "weft/tensor/convert.h"
#include "weft/tensor/ops/binary.h"

namespace weft::cuda {
namespace {

void compare(const CompareArgs& args, Stream stream) {
  const DType dtype = args.dtype == DType::boolean ? DType::u8 : args.dtype;  // false and true are the bytes 0 and 1
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, bool>)
      launch_pairwise<bool, T>("compare", args.op, 0, args.numel, args.geometry, args.a, args.b,
                               convert<T>(args.scalar), args.out, stream);
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(compare_kernel, weft::cuda::compare); }
