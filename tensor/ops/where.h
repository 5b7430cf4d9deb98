// where(condition, a, b): a where the condition holds, b elsewhere, with broadcasting.
#pragma once

#include "weft/tensor/collapsed.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// out = condition ? a : b. Elements of `element_size` bytes (1, 2, 4, 8) are moved, not computed with; numel > 0.
struct WhereArgs {
  int64_t element_size;
  int64_t numel;
  const void* condition;  ///< bool
  const void* a;          ///< null: the bits a_bits
  const void* b;          ///< null: the bits b_bits
  uint64_t a_bits, b_bits;
  void* out;
  const Collapsed*
      geometry;  ///< operands 0: out, 1: condition, 2: a, 3: b; null: all dense in one order. For this call.
};
extern Kernel<WhereArgs> where_kernel;

namespace ops {

/// condition is bool; a and b are promoted to one dtype; all three broadcast. Strides as in ops::binary, a and b first.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
/// One side a number, in the other side's dtype.
Tensor where(const Tensor& condition, const Tensor& a, double b);
Tensor where(const Tensor& condition, double a, const Tensor& b);

}  // namespace ops
}  // namespace weft
