// Elements picked by an index tensor: gather (an index for every element) and index_select (an index for every slice);
// and the check that every operation with an index tensor makes. Indices are i64 or i32 and count from 0.
#pragma once

#include "weft/tensor/collapsed.h"
#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// Elements of `whole`, one per position of the selection. Operands of `geometry` are 0: the selection, 1: whole, with
/// stride 0 along the indexed axis, 2: the index. At a position with offsets a, b, c the element of whole is
/// b + index[c] * axis_stride. An index outside [0, limit) reads 0 and writes nothing. numel > 0.
struct GatherArgs {
  int64_t element_size;  ///< 1, 2, 4, 8: elements are moved, not computed with
  DType index_dtype;
  int64_t limit, axis_stride;
  Collapsed geometry;
  const void* index;
  void* selection;
  void* whole;
};
extern Kernel<GatherArgs> gather_kernel;  ///< selection = whole[…]
/// whole[…] = selection, where no two positions name the same element.
extern Kernel<GatherArgs> place_kernel;

/// Looks for values outside [0, limit) in a dense index of numel > 0 elements. The CPU lowers *bad to the position of
/// the first; on CUDA bad is null and the stream's error word takes `message` (a literal) and the position.
struct CheckIndexArgs {
  DType dtype;
  int64_t numel, limit;
  const void* index;
  const char* message;
  int64_t* bad;
};
extern Kernel<CheckIndexArgs> check_index_kernel;

namespace ops {

/// An operation's name, and what CUDA reports for it: both literals, which begin with the same name.
struct IndexUser {
  const char* name;
  const char* message;
};
#define WEFT_INDEX_USER(name) \
  ::weft::ops::IndexUser { name, name ": an index is out of range; positions count from 0, none is negative" }

/// The index, dense and in row-major order, after these checks: i64 or i32 (DtypeError), on x's device (DeviceError),
/// all values in [0, limit): on the CPU IndexError `gather: index 7 at [0, 2] is out of range [0, 5); …` at once, on
/// CUDA IndexError at the next synchronisation.
Tensor checked_index(const IndexUser& user, const Tensor& index, const Tensor& x, int64_t limit);

/// y[…, j, …] = x[…, index[…, j, …], …] along an axis. The index has x's rank, and off the axis at most x's extents;
/// y has its shape.
Tensor gather(const Tensor& x, int64_t axis, const Tensor& index);
/// x's slices number index[…] along an axis: the shape of `index`, of any rank, takes the place of that axis.
/// Channels-last if x is and the index has rank 1, else row-major.
Tensor index_select(const Tensor& x, int64_t axis, const Tensor& index, const IndexUser& user);
/// zeros of `shape` with y[…, index[…, j, …], …] = source[…, j, …]; no index may occur twice in a line along the axis.
Tensor place(const Tensor& source, int64_t axis, const Tensor& index, const Shape& shape);

}  // namespace ops
}  // namespace weft
