// Elementwise operations and comparisons of two operands with broadcasting: one kernel each for the lists in
// tensor/pointwise.h.
#pragma once

#include "weft/tensor/collapsed.h"
#include "weft/tensor/dtype.h"
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
/// minimum; pow of integers keeps the low bits and is 0 for negative exponents (1 and -1 aside), remainder of integers
/// by 0 is 0. ShapeError, DtypeError, DeviceError.
Tensor binary(BinaryOp op, const Tensor& a, const Tensor& b);
/// bool; nothing is equal to NaN. The logical operations take everything but 0 for true, NaN too.
Tensor compare(CompareOp op, const Tensor& a, const Tensor& b);
Tensor compare(CompareOp op, const Tensor& a, double b);
/// One operand, bool out.
Tensor test(CompareOp op, const Tensor& x);
/// a = f(a, b), b broadcast to a's shape and cast to a's dtype. Advances a's version. ShapeError where a overlaps
/// itself or b does not fit; DtypeError on bool, where b or the result has a fraction and a has none.
void binary_(BinaryOp op, const Tensor& a, const Tensor& b);
/// a = a + scale * b. As binary_.
void add_(const Tensor& a, const Tensor& b, double scale = 1);
/// a = a * factor. As binary_.
void mul_(const Tensor& a, double factor);

/// True if `value` is the same number in an element of `dtype` (rounding of floating types aside).
bool holds(DType dtype, double value);

const char* name_of(BinaryOp op);
/// The name with an underscore, "sub_".
const char* name_in_place(BinaryOp op);
const char* name_of(CompareOp op);

#define WEFT_DECLARE(Functor, name, ...) Tensor name(const Tensor& a, const Tensor& b);
WEFT_BINARY_OPS(WEFT_DECLARE)
WEFT_COMPARE_OPS(WEFT_DECLARE)
#undef WEFT_DECLARE
#define WEFT_DECLARE(Functor, name, ...) Tensor name(const Tensor& x);
WEFT_TEST_OPS(WEFT_DECLARE)
#undef WEFT_DECLARE

}  // namespace ops
}  // namespace weft
