// Sorting along an axis, stably. Order: -inf < … < -0 = +0 < … < +inf < NaN, all NaN equal; false < true. Descending is
// that order reversed (NaN first), and equal elements keep their order in both.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// Rows up to this many elements need no scratch.
inline constexpr int64_t sort_short = 1024;

/// The first `count` of every sorted row. x is dense, seen as [outer, n, inner] with n the axis; values and index (i64,
/// the elements' positions along the axis) are [outer, count, inner]. None of the extents is 0.
struct SortArgs {
  DType dtype;
  int64_t outer, n, inner, count;
  bool descending;
  const void* x;
  void* values;  ///< or null
  int64_t* index;
  void* scratch;  ///< 2 * outer * n * inner items of sort_key.h (8 bytes, 16 for dtypes of 8); null if n <= sort_short
};
extern Kernel<SortArgs> sort_kernel;

namespace ops {

/// The first `count` elements in order, and in `index` (i64) where they were along the axis; both dense with the axes
/// in the memory order of x's. ShapeError unless 0 <= count <= extent < 2^31.
Tensor sort(const char* name, const Tensor& x, int64_t axis, bool descending, int64_t count, Tensor& index);
/// The index alone, of all elements.
Tensor argsort(const Tensor& x, int64_t axis, bool descending);

}  // namespace ops
}  // namespace weft
