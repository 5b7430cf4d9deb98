// Filling with one value, arange, linspace.
#pragma once

#include "weft/tensor/collapsed.h"
#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;
struct TensorOptions;

/// Every element of y = the low `element_size` bytes (1, 2, 4, 8) of `bits`; numel > 0.
struct FillArgs {
  int64_t element_size;
  int64_t numel;
  uint64_t bits;
  void* y;
  const Collapsed* geometry;  ///< operand 0: y; null: y is dense. Host memory, for this call.
};
/// y[i] = start + i * step, computed in double (floating dtypes) or in int64 (integers; start and step truncated);
/// y is dense, numel > 0.
struct ArangeArgs {
  DType dtype;
  int64_t numel;
  double start, step;
  void* y;
};
/// y[i] = start + i * step for i < numel - i, else stop - (numel - 1 - i) * step, computed in double; floating dtypes,
/// y is dense, numel > 0.
struct LinspaceArgs {
  DType dtype;
  int64_t numel;
  double start, stop, step;
  void* y;
};
extern Kernel<FillArgs> fill_kernel;
extern Kernel<ArangeArgs> arange_kernel;
extern Kernel<LinspaceArgs> linspace_kernel;

namespace ops {

/// `value` in an element of `dtype`, as FillArgs and WhereArgs take it.
uint64_t element_bits(DType dtype, double value);
/// Fills without advancing the version: for new tensors. Any strides.
void fill(const Tensor& y, double value);
/// The same as an in-place change. ShapeError where y overlaps itself.
void fill_(const Tensor& y, double value, const char* name = "fill_");
/// start, start + step, … before stop; empty if there is none. Error if step is 0 or a number is not finite.
Tensor arange(double start, double stop, double step, const TensorOptions& options);
/// `count` numbers from start to stop, both included.
Tensor linspace(double start, double stop, int64_t count, const TensorOptions& options);

}  // namespace ops
}  // namespace weft
