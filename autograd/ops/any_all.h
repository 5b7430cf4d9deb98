// Whether any, or all, of the elements are not 0.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// bool, over options.axes, all if none; any dtype; never recorded. NaN is not 0. Of no elements: any is false.
Tensor any(const Tensor& x, const ReduceOptions& options = {});
/// Of no elements: all is true.
Tensor all(const Tensor& x, const ReduceOptions& options = {});

}  // namespace weft
