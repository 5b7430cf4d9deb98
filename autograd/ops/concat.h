// Recorded concat and stack.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// Parts one after another along an axis; shapes may differ only there, dtypes are promoted. Channels-last parts give a
/// channels-last result.
Tensor concat(const Tensors& parts, int64_t axis = 0);
/// Parts of one shape along a new axis.
Tensor stack(const Tensors& parts, int64_t axis = 0);

}  // namespace weft
