// Sums at places named by an index tensor: scatter_add (an index for every element) and index_add (an index for every
// slice). Every sum is taken in the order of the positions along the axis, in f32 for the 16-bit types: results do not
// depend on threads or blocks, and are the same on every device.
#pragma once

#include "weft/tensor/collapsed.h"
#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/ops/gather.h"

namespace weft {
class Tensor;

/// For every line (a position off the axis) with offsets a, b, c and for j = 0 … count - 1 in this order:
/// y[a + index[c + j * index_stride] * y_stride] += source[b + j * source_stride]. An index outside [0, limit) adds
/// nothing (CUDA; on the CPU indices were checked). Lines never share an element of y. No line or count is empty.
struct ScatterAddArgs {
  DType dtype;        ///< f32, f64, i32, i64
  DType index_dtype;  ///< i64 or i32
  int64_t limit, count;
  Collapsed lines;  ///< operands 0: y, 1: source, 2: index, and order likewise
  int64_t y_stride, source_stride, index_stride;
  const void* source;
  const void* index;
  const int64_t*
      order;  ///< CUDA: the positions j of each line, stably sorted by index, laid out as the index; else null
  void* y;
};
extern Kernel<ScatterAddArgs> scatter_add_kernel;

namespace ops {

/// x with source[…, j, …] added at […, index[…, j, …], …] along an axis: source and index have one shape, of x's rank
/// and off the axis at most x's extents. Any dtype but bool, the same for x and source. IndexError as in gather.
Tensor scatter_add(const Tensor& x, int64_t axis, const Tensor& index, const Tensor& source);
/// x with slice number i of source added to slice number index[i] of x: source is shaped as index_select's result.
Tensor index_add(const Tensor& x, int64_t axis, const Tensor& index, const Tensor& source);

/// The same into zeros of `shape`: the gradients of gather and index_select.
Tensor scatter_sum(const Tensor& source, int64_t axis, const Tensor& index, const Shape& shape);
Tensor index_sum(const Tensor& source, int64_t axis, const Tensor& index, const Shape& shape, const IndexUser& user);

}  // namespace ops
}  // namespace weft
