// Parts of a tensor along an axis: views of its memory, no copies. split, split_sizes and chunk are recorded as one
// operation with several results, narrow as a slice; derivatives of any order follow from concat and slice.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// Parts of `size` along an axis, the last one shorter if need be; an axis of extent 0 gives one empty part.
/// ShapeError unless size > 0.
Tensors split(const Tensor& x, int64_t size, int64_t axis = 0);
/// Parts of the given sizes, which add up to the extent of the axis; else ShapeError.
Tensors split_sizes(const Tensor& x, const std::vector<int64_t>& sizes, int64_t axis = 0);
/// At most `count` parts of ceil(extent / count) elements, the last one shorter if need be, as in PyTorch.
Tensors chunk(const Tensor& x, int64_t count, int64_t axis = 0);
/// `length` elements from `start` on; a negative start counts from the end. IndexError unless all of them exist.
Tensor narrow(const Tensor& x, int64_t axis, int64_t start, int64_t length);

}  // namespace weft
