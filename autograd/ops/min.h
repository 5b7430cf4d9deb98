// Recorded minima: maxima of the values in reversed order.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// Over options.axes, all if none. NaN wins. The gradient goes to the first minimum in logical order. ShapeError over
/// no elements; DtypeError on bool.
Tensor min(const Tensor& x, const ReduceOptions& options = {});
/// Index (i64) of the first minimum along an axis; never recorded.
Tensor argmin(const Tensor& x, int64_t axis, bool keep = false);

}  // namespace weft
