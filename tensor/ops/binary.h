// Elementwise operations and comparisons of two operands with broadcasting: one kernel each for the lists in
// tensor/pointwise.h.
#pragma once

#include "weft/tensor/collapsed.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/pointwise.h"

namespace weft {
class Tensor;

/// out = f(a, b), all of `dtype`, numel > 0. out may be a or b where their strides are the same.
struct BinaryArgs {
  BinaryOp op;
  DType dtype;
  int64_t numel;
  const void* a;
  const void* b;
  void* out;
  const Collapsed*
      geometry;  ///< operands 0: out, 1: a, 2: b; null: all dense in one order. Host memory, for this call.
  double p = 0;  ///< parameter of the functor (add_scaled: out = a + p b)
};
/// out (bool) = f(a, b); a and b of `dtype`.
struct CompareArgs {
  CompareOp op;
  DType dtype;
  int64_t numel;
  const void* a;
  const void* b;  ///< null: b is `scalar`, in the type that is computed with (float for f16 and bf16)
  double scalar;
  void* out;
  const Collapsed* geometry;  ///< as in BinaryArgs
};
extern Kernel<BinaryArgs> binary_kernel;
extern Kernel<CompareArgs> compare_kernel;

namespace ops {

/// Operands are promoted to one dtype and broadcast. The result has the strides of the first operand that has the full
/// shape and is dense, else row-major. `div` of integers divides in f32; bool knows add (or), mul (and), maximum,
/// minimum. ShapeError, DtypeError, DeviceError.
Tensor binary(BinaryOp op, const Tensor& a, const Tensor& b);
/// bool; nothing is equal to NaN.
Tensor compare(CompareOp op, const Tensor& a, const Tensor& b);
Tensor compare(CompareOp op, const Tensor& a, double b);
/// a = a + scale * b, b broadcast to a's shape and cast to a's dtype. Bumps a's version. ShapeError where a overlaps
/// itself.
void add_(const Tensor& a, const Tensor& b, double scale = 1);
/// a = a * factor. As add_.
void mul_(const Tensor& a, double factor);

const char* name_of(BinaryOp op);
const char* name_of(CompareOp op);

#define WEFT_DECLARE(Functor, name) Tensor name(const Tensor& a, const Tensor& b);
WEFT_BINARY_OPS(WEFT_DECLARE)
WEFT_COMPARE_OPS(WEFT_DECLARE)
#undef WEFT_DECLARE

}  // namespace ops
}  // namespace weft
