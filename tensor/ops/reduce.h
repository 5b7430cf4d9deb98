// Sums, means and maxima over any axes, with the position of the maximum.
#pragma once

#include "weft/tensor/collapsed.h"
#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;
struct ReduceOptions;

/// x as [kept, reduced]: extents, and strides of x in elements, in both groups last dimension fastest. Output number k
/// belongs to position k of the kept dimensions. Neither group is empty of elements.
struct Reduction {
  int64_t kept = 1, reduced = 1;  // numbers of elements
  int kept_rank = 0, reduced_rank = 0;
  int64_t kept_extent[max_rank] = {}, kept_stride[max_rank] = {};
  int64_t reduced_extent[max_rank] = {}, reduced_stride[max_rank] = {};
};

/// y[k] = (sum over r of x[k, r]) / divisor. y is dense, of x's dtype; i64 for integers and bool (divisor 1).
/// Floating sums must not depend on the number of threads or blocks: fixed chunks, combined in a fixed order.
struct SumArgs {
  DType dtype;  ///< of x
  Reduction geometry;
  double divisor;
  const void* x;
  void* y;
};
/// values[k] = max over r of x[k, r], NaN if there is one; index[k] (i64) = the first r that has it. Both dense; either
/// may be null.
struct MaxArgs {
  DType dtype;
  Reduction geometry;
  const void* x;
  void* values;
  int64_t* index;
};
/// dx = r == index[k] ? dy[k] : 0 for every element (k, r) of dx: elementwise over `geometry`, operands 0: dx, 1: dy,
/// 2: index, and 3: r itself, whose "offset" is the number to compare with. numel > 0.
struct MaxBackwardArgs {
  DType dtype;
  Collapsed geometry;
  const void* dy;
  const int64_t* index;
  void* dx;
};
/// y[k] = x[k, index[k]]; y and index dense. 0 <= index[k] < reduced.
struct MaxGatherArgs {
  DType dtype;
  Reduction geometry;
  const void* x;
  const int64_t* index;
  void* y;
};
extern Kernel<SumArgs> sum_kernel;
extern Kernel<MaxArgs> max_kernel;
extern Kernel<MaxBackwardArgs> max_backward_kernel;
extern Kernel<MaxGatherArgs> max_gather_kernel;

namespace ops {

/// Over `axes` (all if none). The result is dense, its axes in the memory order of x's; of x's dtype, i64 for integers
/// and bool. Of no elements: 0.
Tensor sum(const Tensor& x);
Tensor sum(const Tensor& x, const ReduceOptions& options);
/// Sum over the axes that broadcasting added or widened: the inverse of expanding `shape` to x's. x itself if equal.
Tensor sum_to(const Tensor& x, const Shape& shape);
/// Floating dtypes. Of no elements: NaN.
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, const ReduceOptions& options);

/// NaN wins over everything. `index` (i64) becomes the position of the first maximum, flat over the reduced axes in
/// their logical order. ShapeError over no elements; DtypeError on bool.
Tensor max(const Tensor& x, const ReduceOptions& options, Tensor& index);
/// The index alone.
Tensor argmax(const Tensor& x, int64_t axis, bool keep = false);
/// The gradient of max: dy where the maximum was, 0 elsewhere; of shape `shape`, the shape of x.
Tensor max_backward(const Tensor& dy, const Tensor& index, const Shape& shape, const ReduceOptions& options);
/// The element of x at `index` (as max returned it) for each output.
Tensor max_gather(const Tensor& x, const Tensor& index, const ReduceOptions& options);

}  // namespace ops
}  // namespace weft
