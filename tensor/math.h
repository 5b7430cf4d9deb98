// Elementwise mathematics of kernels. On the host the float versions are branch-free polynomials that vectorise (within a
// few units in the last place, NaN and Inf kept); double and the device use the standard functions.
#pragma once

#include <cmath>

#include "weft/tensor/half.h"

// The instruction set (or device, or simulator) this file is compiled for; the build sets it.
#ifndef WEFT_ISA
#define WEFT_ISA base
#define WEFT_ISA_DEFAULTED
#endif

namespace weft {
inline namespace WEFT_ISA {
namespace math {
}  // namespace math
}  // namespace WEFT_ISA
}  // namespace weft
