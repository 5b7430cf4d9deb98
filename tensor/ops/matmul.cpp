#include "weft/tensor/ops/matmul.h"

#include <algorithm>

#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/view.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"
#include "weft/tensor/tuning.h"

namespace weft {

WEFT_KERNEL(MatmulArgs, matmul_kernel);

namespace ops {
namespace {

// One operand as the kernel reads it. `memory` keeps a copy alive where one had to be made.
struct Matrices {
  Tensor memory;
  int64_t row;
  int64_t batch;
  bool transposed;
};

// Writes row and transposed if the rows, or the columns, of the matrices are dense in memory.
bool rows_fit(int64_t rows, int64_t columns, int64_t row_stride, int64_t column_stride, Matrices& matrices) {
  if ((columns == 1 || column_stride == 1) && (rows == 1 || row_stride >= columns)) {
    matrices.transposed = false;
    matrices.row = rows == 1 ? columns : row_stride;
    return true;
  }
  if ((rows == 1 || row_stride == 1) && (columns == 1 || column_stride >= rows)) {
    matrices.transposed = true;
    matrices.row = columns == 1 ? rows : column_stride;
    return true;
  }
  return false;
}

// One distance that steps through all leading dimensions; -1 if there is none.
int64_t single_stride(const Shape& shape, const Strides& strides, int lead) {
  int64_t stride = 0, extent = 1;
  bool any = false;
  for (int i = lead - 1; i >= 0; --i) {
    if (shape[i] == 1) continue;
    if (any && strides[i] != stride * extent) return -1;
    if (!any) stride = strides[i];
    any = true;
    extent *= shape[i];
  }
  return stride;
}

// x [..., rows, columns] seen as `shape`, whose leading extents x broadcasts to.
Matrices matrices_of(const Tensor& x, const Shape& shape) {
  const int lead = shape.rank() - 2;
  Strides strides = broadcast_strides(x, shape);
  for (int i = 1; i <= 2; ++i) strides[shape.rank() - i] = x.strides()[x.rank() - i];
  Matrices m{x, 0, single_stride(shape, strides, lead), false};
  if (m.batch >= 0 && rows_fit(shape[lead], shape[lead + 1], strides[lead], strides[lead + 1], m)) return m;
  m.memory = contiguous(m.batch >= 0 ? x : view(x, shape, strides, x.impl().offset));
  m.transposed = false;
  m.row = shape[lead + 1];
  m.batch = m.batch == 0 ? 0 : shape[lead] * shape[lead + 1];
  return m;
}

// The leading extents of the result, followed by m and n.
Shape result_shape(const Tensor& a, const Tensor& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape shape = Dims::filled(rank, 1);
  for (int i = 3; i <= rank; ++i) {
    const int64_t left = i <= a.rank() ? a.shape()[a.rank() - i] : 1;
    const int64_t right = i <= b.rank() ? b.shape()[b.rank() - i] : 1;
    WEFT_CHECK(ShapeError, left == right || left == 1 || right == 1, "matmul: batches do not broadcast, ", a.shape(),
               " x ", b.shape(), " (", left, " against ", right, ")");
    shape[rank - i] = left == 1 ? right : left;
  }
  shape[rank - 2] = a.shape()[a.rank() - 2];
  shape[rank - 1] = b.shape().back();
  return shape;
}

// Where all products share b, and the rows of a run on from one matrix to the next, they are one product.
void fold(MatmulArgs& args) {
  if (args.batch == 1 || args.b_batch != 0 || args.a_transposed) return;
  if (args.m == 1 && args.a_batch >= args.k)
    args.a_row = args.a_batch;
  else if (args.a_batch != args.m * args.a_row)
    return;
  args.m *= args.batch;
  args.batch = 1;
  args.a_batch = 0;
}

// Both of rank >= 2, checked.
Tensor multiply(const Tensor& a, const Tensor& b) {
  const Shape shape = result_shape(a, b);
  const int lead = shape.rank() - 2;
  const int64_t m = shape[lead], n = shape[lead + 1], k = a.shape().back();
  if (k == 0) return zeros(shape, {.dtype = a.dtype(), .device = a.device()});
  Tensor c = empty(shape, {.dtype = a.dtype(), .device = a.device()});
  if (c.numel() == 0) return c;
  Shape left = shape, right = shape;
  left[lead + 1] = right[lead] = k;
  const Matrices l = matrices_of(a, left), r = matrices_of(b, right);
  MatmulArgs args{.dtype = a.dtype(),
                  .batch = c.numel() / (m * n),
                  .m = m,
                  .n = n,
                  .k = k,
                  .a = l.memory.raw(),
                  .b = r.memory.raw(),
                  .c = c.raw(),
                  .a_row = l.row,
                  .b_row = r.row,
                  .a_transposed = l.transposed,
                  .b_transposed = r.transposed,
                  .a_batch = l.batch,
                  .b_batch = r.batch,
                  .allow_tf32 = allow_tf32()};
  fold(args);
  profile_work(matmul_kernel, l.memory, r.memory, c);
  matmul_kernel(args, current_stream(a.device()));
  return c;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  check_floating("matmul", a);
  check_same_device("matmul", a, b);
  WEFT_CHECK(DtypeError, a.dtype() == b.dtype(), "matmul: dtypes ", a.dtype(), " and ", b.dtype(),
             " differ; convert one with .to(dtype)");
  WEFT_CHECK(ShapeError, a.rank() > 0 && b.rank() > 0, "matmul: needs at least one dimension, got ", a.shape(), " x ",
             b.shape(), "; multiply by a scalar with *");
  const int64_t right = b.shape()[b.rank() == 1 ? 0 : b.rank() - 2];
  WEFT_CHECK(ShapeError, a.shape().back() == right, "matmul: inner sizes differ, ", a.shape(), " x ", b.shape());
  Tensor c = multiply(a.rank() == 1 ? unsqueeze(a, 0) : a, b.rank() == 1 ? unsqueeze(b, 1) : b);
  if (b.rank() == 1) c = squeeze(c, -1);
  if (a.rank() == 1) c = squeeze(c, b.rank() == 1 ? -1 : -2);
  return c;
}

}  // namespace ops
}  // namespace weft
