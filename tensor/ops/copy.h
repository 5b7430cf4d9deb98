// Copies: between layouts, dtypes and devices.
#pragma once

#include "weft/tensor/collapsed.h"
#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;
struct CopyOptions;

/// y = x on one device, x of dtype `from`, y of dtype `to`; numel > 0. Conversion is that of convert<To>(x) in
/// tensor/convert.h.
struct CopyArgs {
  DType from, to;
  int64_t numel;
  const void* x;
  void* y;
  const Collapsed* geometry;  ///< operands 0: y, 1: x; null: both dense in one order. Host memory, for this call.
};
extern Kernel<CopyArgs> copy_kernel;

namespace ops {

/// Writes x, broadcast to y's shape and converted to y's dtype, into y; any layouts, any devices. Does not advance y's
/// version: for new tensors. ShapeError if x does not fit or y overlaps itself.
///
/// Between devices the work is ordered on both sides: it starts after what is queued on the current stream of x's
/// device, and later work on the current stream of y's device waits for it; x's memory is not reused before. From a GPU
/// to host memory the host waits, unless non_blocking is set and that memory is pinned: then wait for the stream, or
/// for an event recorded on the GPU's stream, before reading. From host memory the host waits until x may be
/// changed, unless non_blocking is set and x is pinned.
void copy(const Tensor& y, const Tensor& x);
void copy(const Tensor& y, const Tensor& x, const CopyOptions& options);
/// The same as an in-place change of y: advances its version. `name` is the operation that errors speak of.
void copy_(const Tensor& y, const Tensor& x);
void copy_(const Tensor& y, const Tensor& x, const CopyOptions& options, const char* name = "copy_");

/// x itself if it is there already, else a copy with the strides of a dense x, or row-major.
Tensor to(const Tensor& x, Device device);
Tensor to(const Tensor& x, Device device, const CopyOptions& options);
/// x itself if it has this dtype, else a converted copy with the strides of a dense x, or row-major.
Tensor cast(const Tensor& x, DType dtype);
/// A copy in memory of its own, with the strides of a dense x, or row-major.
Tensor clone(const Tensor& x);
// contiguous(x, layout), dense_like, with_strides_of: tensor/ops/geometry.h

/// ShapeError `<name>: …` if two elements of y may share memory, as after expand(): in-place operations refuse it.
void check_writable(const char* name, const Tensor& y);

}  // namespace ops
}  // namespace weft
