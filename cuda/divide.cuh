// Division by numbers known before the launch. The compiler would need some hundred instructions for 64 bits.
#pragma once

#include <cstdint>

#include "weft/cuda/platform.cuh"

namespace weft::cuda {

/// Division of numbers below 2^31: a multiplication and a shift.
/// Granlund and Montgomery, "Division by invariant integers using multiplication", 1994.
struct NarrowDivider {
  uint32_t divisor = 1, magic = 1, shift = 0;

  NarrowDivider() = default;
  explicit NarrowDivider(uint32_t d) : divisor(d) {
    while (shift < 31 && (uint32_t{1} << shift) < d) ++shift;
    const uint64_t one = 1;
    magic = static_cast<uint32_t>(((one << 32) * ((one << shift) - d)) / d + 1);
  }
  __device__ uint32_t divide(uint32_t n) const {
    return (static_cast<uint32_t>(static_cast<uint64_t>(n) * magic >> 32) + n) >> shift;
  }
};

struct Quotient {
  int64_t quotient, rest;
};

/// Division of numbers in [0, bound): cheap where the bound is at most 2^31.
class Divider {
 public:
  Divider() = default;
  Divider(int64_t divisor, int64_t bound)
      : divisor_(divisor), small_(bound <= int64_t{1} << 31 && divisor < int64_t{1} << 31) {
    if (small_) narrow_ = NarrowDivider(static_cast<uint32_t>(divisor));
  }
  __device__ Quotient operator()(int64_t n) const {
    const int64_t quotient = small_ ? narrow_.divide(static_cast<uint32_t>(n)) : n / divisor_;
    return {quotient, n - quotient * divisor_};
  }

 private:
  int64_t divisor_ = 1;
  bool small_ = true;
  NarrowDivider narrow_;
};

}  // namespace weft::cuda
