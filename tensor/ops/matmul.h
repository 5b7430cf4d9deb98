// Matrix products, batched. c_ij = sum_p a_ip b_pj
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// `batch` products c = a b of [m, k] x [k, n] matrices; m, n, k, batch >= 1. Distances are in elements.
/// Element (i, p) of a lies at a[i * a_row + p], or at a[p * a_row + i] if a_transposed; the same for (p, j) of b.
/// So the rows in memory are dense, a_row >= their length, and transposed views cost no copy.
struct MatmulArgs {
  DType dtype;  ///< floating
  int64_t batch, m, n, k;
  const void* a;
  const void* b;
  void* c;  ///< dense: [batch, m, n] in row-major order
  int64_t a_row, b_row;
  bool a_transposed, b_transposed;
  int64_t a_batch, b_batch;  ///< from one matrix to the next; 0: the same for all
  bool allow_tf32;           ///< CUDA may round f32 operands to TF32
};
extern Kernel<MatmulArgs> matmul_kernel;

namespace ops {
/// [..., M, K] x [..., K, N] -> [..., M, N], row-major; leading extents broadcast. A vector counts as [1, K] on the
/// left and as [K, 1] on the right, and the result loses that extent. Operands of one floating dtype, in any layout:
/// those whose rows or columns are dense are read in place. K = 0 gives zeros. Throws ShapeError `matmul: inner sizes
/// differ, [8, 3] x [4, 5]`, and on rank 0; DtypeError; DeviceError.
Tensor matmul(const Tensor& a, const Tensor& b);
}  // namespace ops
}  // namespace weft
