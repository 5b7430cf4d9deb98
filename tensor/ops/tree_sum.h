// The sum of several tensors in the order of a tree: pairs of neighbours, then pairs of pairs, so that its bits depend
// on the number of terms alone. In one pass: each term is read once. For collectives, which record what they do; it has
// no gradient of its own.
#pragma once

#include <span>

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// Terms of one pass. A power of two: then a tree over more of them is a tree over the sums of passes.
inline constexpr int tree_sum_most = 16;

/// y[j] = tree(x[0], …, x[count - 1]) for every output; tree(a) = a, tree(first h, the others) = tree(first h) +
/// tree(the others), rounded to the dtype, where h is the largest power of two below the number of terms. All without
/// gaps and in one order; 1 <= count <= tree_sum_most. `x`, `y`: host memory, for this call.
struct TreeSumArgs {
  DType dtype;
  int64_t numel;
  int count;
  const void* const* x;
  int outputs;  ///< on CUDA devices 1
  void* const* y;
};
extern Kernel<TreeSumArgs> tree_sum_kernel;

namespace ops {

/// The sum of all x, which have one shape and dtype, as a new tensor on `device`; terms that lie elsewhere are copied
/// there first. bool: whether any is true. Error for no terms, ShapeError, DtypeError.
Tensor tree_sum(std::span<const Tensor> x, Device device);
/// The same, written into each of y: without gaps, with the same strides, apart from all x, and on one device or on CPU
/// devices, whose memory is one.
void tree_sum_into(std::span<const Tensor> y, std::span<const Tensor> x);

}  // namespace ops
}  // namespace weft
