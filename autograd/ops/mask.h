// Elements kept or replaced by a mask, and one-hot encoding. Made of where and comparisons, so gradients of any order
// and every device come with them.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// x with `value` (in x's dtype) wherever the mask (bool, broadcast to x's shape) holds; no gradient comes from there.
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value);
/// The upper triangle of the last two axes: elements with column - row >= diagonal, zeros elsewhere.
Tensor triu(const Tensor& x, int64_t diagonal = 0);
/// The lower triangle: elements with column - row <= diagonal, zeros elsewhere.
Tensor tril(const Tensor& x, int64_t diagonal = 0);
/// 1 at position index[…] of a new last axis of `classes` positions, else 0. The index is i64 or i32; one outside
/// [0, classes) throws IndexError: on the CPU at once, on CUDA at the next synchronisation.
Tensor one_hot(const Tensor& index, int64_t classes, DType dtype = DType::f32);

}  // namespace weft
