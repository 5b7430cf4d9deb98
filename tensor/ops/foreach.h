// One operation on every tensor of a list, in one launch per many tensors: what optimizers, moving averages and
// clipping do to parameters and gradients. In place where the name ends in _; never recorded. Floating dtypes; a list
// may mix them. All tensors of a call lie on one device.
#pragma once

#include <vector>

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// One tensor of a call: numel > 0 elements without gaps. What is not used is null; x lies as y does.
struct ForeachItem {
  int64_t numel;
  void* y;
  const void* x;
};
/// y = b * y + a * x in Compute<dtype> (y = b * y without x); b is multiplied by *factor (on the device) if that is not
/// null. `items`: host memory, for this call.
struct ForeachAxpbyArgs {
  DType dtype;
  int64_t count;
  const ForeachItem* items;
  double a, b;
  const double* factor;
};
/// Elements of an item are summed in chunks of this many.
inline constexpr int64_t foreach_chunk = 8192;
/// partials[k] = the sum of the squares of chunk k, in double; chunks are numbered through the items, a short one ends
/// each item. Their order of summation depends on nothing but the device's kind.
struct ForeachSquaresArgs {
  DType dtype;
  int64_t count;
  const ForeachItem* items;
  double* partials;
};
/// square = the sum of partials, in a fixed order. If `factor` is not null: norm = sqrt(square),
/// factor = min(1, max_norm / (norm + 1e-6)), NaN for NaN.
struct ForeachTotalArgs {
  int64_t chunks;
  const double* partials;
  double max_norm;
  double* square;
  double* norm;
  double* factor;
};
extern Kernel<ForeachAxpbyArgs> foreach_axpby_kernel;
extern Kernel<ForeachSquaresArgs> foreach_squares_kernel;
extern Kernel<ForeachTotalArgs> foreach_total_kernel;

namespace ops {

/// y_i = b y_i + a x_i. x_i has y_i's shape and dtype; any layouts (those of y with gaps go through a copy). The y_i
/// overlap neither each other nor the x of another pair. ShapeError (also where elements of a y_i share memory),
/// DtypeError, DeviceError before anything has changed.
void foreach_axpby_(const std::vector<Tensor>& y, double b, double a, const std::vector<Tensor>& x);
/// y_i = factor y_i.
void foreach_scale_(const std::vector<Tensor>& y, double factor);
/// The sum of the squares of all elements of all tensors: an f64 scalar on their device (cpu:0 for an empty list).
/// Deterministic; does not wait.
Tensor foreach_squared_norm(const std::vector<Tensor>& x);
/// Multiplies all by min(1, max_norm / (norm + 1e-6)), so that the norm of the whole list is at most max_norm, and
/// returns the norm before: an f64 scalar on their device. Does not wait. A norm that is NaN makes everything NaN, an
/// infinite one makes finite elements 0. Error unless max_norm > 0.
Tensor foreach_clip_norm_(const std::vector<Tensor>& y, double max_norm);

}  // namespace ops
}  // namespace weft
