// Elementwise mathematics of kernels. On the host the float versions are branch-free polynomials that vectorise (within a
// few units in the last place; NaN, Inf, zeros, overflow and underflow as in the standard library); double, and CUDA device
// code, use the standard functions. Everything is always inlined.
#pragma once

#include <cmath>
#include <limits>

#include "weft/tensor/half.h"

// The namespace of code that is compiled several times, so that no two copies meet: an instruction set (v2, v3, v4), cuda,
// or what a special build asks for by defining WEFT_VARIANT itself.
#ifndef WEFT_VARIANT
#if defined(WEFT_ISA)
#define WEFT_VARIANT WEFT_ISA
#elif defined(__CUDACC__)
#define WEFT_VARIANT device
#else
#define WEFT_VARIANT base
#endif
#endif

namespace weft {
inline namespace WEFT_VARIANT {
namespace math {
}  // namespace math
}  // namespace WEFT_VARIANT
}  // namespace weft
