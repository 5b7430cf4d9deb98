// The k-th largest value of each row, by selection and not by sorting: digit by digit of the values' bits.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// x dense [rows, n], y [rows]; 1 <= k <= n < 2^31. NaN counts as larger than any number.
struct KthLargestArgs {
  DType dtype;  ///< floating
  int64_t rows, n, k;
  const void* x;
  void* y;
};
extern Kernel<KthLargestArgs> kth_largest_kernel;

// Keys: unsigned numbers in the order of the values.
WEFT_INLINE uint32_t order_key(float x) {
  if (x != x) return ~uint32_t{0};
  const auto bits = __builtin_bit_cast(uint32_t, x);
  return bits >> 31 ? ~bits : bits | uint32_t{1} << 31;
}
WEFT_INLINE uint64_t order_key(double x) {
  if (x != x) return ~uint64_t{0};
  const auto bits = __builtin_bit_cast(uint64_t, x);
  return bits >> 63 ? ~bits : bits | uint64_t{1} << 63;
}
WEFT_INLINE float value_of_key(uint32_t key) {
  return __builtin_bit_cast(float, key >> 31 ? key ^ uint32_t{1} << 31 : ~key);
}
WEFT_INLINE double value_of_key(uint64_t key) {
  return __builtin_bit_cast(double, key >> 63 ? key ^ uint64_t{1} << 63 : ~key);
}

namespace ops {
/// x [..., M] floating -> [...]: the k-th largest value along the last axis. IndexError unless 1 <= k <= M.
Tensor kth_largest(const Tensor& x, int64_t k);
}  // namespace ops

}  // namespace weft
