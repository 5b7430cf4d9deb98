// concat: tensors one after another along an axis. Made of copies into slices of the result: no kernel of its own.
#pragma once

#include <span>

#include "weft/tensor/tensor.h"

namespace weft::ops {

/// Shapes may differ along `axis` only; dtypes are promoted. Channels-last if every part of rank >= 3 is dense in that
/// layout (and not all are row-major too), else row-major. ShapeError without parts.
Tensor concat(std::span<const Tensor> parts, int64_t axis);

}  // namespace weft::ops
