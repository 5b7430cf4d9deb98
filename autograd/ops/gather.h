// Recorded picking by index tensors (i64 or i32, counted from 0; none may be negative). An index out of range throws
// IndexError `gather: index 7 at [0, 2] is out of range [0, 5); …`: on the CPU at once, on CUDA at the next
// synchronisation, without an access outside the tensor. Gradients are summed in a fixed order on every device.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// y[…, j, …] = x[…, index[…, j, …], …] along an axis. The index has x's rank, and off the axis at most x's extents;
/// y has its shape.
Tensor gather(const Tensor& x, int64_t axis, const Tensor& index);
/// x's slices number index[…] along an axis: the shape of `index`, of any rank, takes the place of that axis.
Tensor index_select(const Tensor& x, int64_t axis, const Tensor& index);

struct EmbeddingOptions {
  int64_t padding = -1;  ///< a row that gets no gradient, so that it stays as it is; -1: none
};
/// Rows of a table [rows, d…] by an index of any shape S: [S, d…].
Tensor embedding(const Tensor& table, const Tensor& index, const EmbeddingOptions& options = {});

namespace autograd {
/// Sums into zeros of `shape`: the gradients of gather and index_select, themselves recorded.
Tensor gather_backward(const Tensor& dy, int64_t axis, const Tensor& index, const Shape& shape);
Tensor index_select_backward(const Tensor& dy, int64_t axis, const Tensor& index, const Shape& shape);
/// dy where the index names each element at most once: zeros elsewhere. The gradient of sort and topk, recorded.
Tensor place(const Tensor& dy, int64_t axis, const Tensor& index, const Shape& shape);
}  // namespace autograd

}  // namespace weft
