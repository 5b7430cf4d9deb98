// c = a b;   da = dc bT,   db = aT dc
// summed over the leading extents along which an operand was broadcast; a vector is a matrix of one row or column.
#include "weft/autograd/ops/matmul.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/matmul.h"

namespace weft {

namespace {

Shape with(const Shape& shape, int64_t position, int64_t extent) {
  Shape result = shape;
  result.insert(static_cast<int>(position), extent);
  return result;
}
Tensor as_left(const Tensor& a) { return a.rank() == 1 ? a.unsqueeze(0) : a; }
Tensor as_right(const Tensor& b) { return b.rank() == 1 ? b.unsqueeze(1) : b; }

// The gradient of c with the extents that vectors lost.
Tensor as_result(Tensor dc, int a_rank, int b_rank) {
  if (b_rank == 1) dc = dc.unsqueeze(-1);
  return a_rank == 1 ? dc.unsqueeze(-2) : dc;
}

// True if the columns, not the rows, are dense: then the gradient is made that way too, and needs no copy later.
bool by_columns(const Tensor& x) { return x.rank() > 1 && x.strides()[x.rank() - 2] == 1 && x.strides().back() != 1; }

Tensor product(const Tensor& a, const Tensor& b, bool transposed) {
  return transposed ? matmul(b.transpose(), a.transpose()).transpose() : matmul(a, b);
}

// One matrix multiplied all of a: its gradient is one product over all rows, not a sum of products.
Tensor rows_of(const Tensor& x) { return x.reshape({x.numel() / x.shape().back(), x.shape().back()}); }

struct Operand {
  explicit Operand(const Tensor& x) : shape(x.shape()), transposed(by_columns(x)) {}
  Shape shape;
  bool transposed;
};

Tensor left_gradient(const Tensor& dc, const Operand& a, const Tensor& b) {
  const Tensor da = product(as_result(dc, a.shape.rank(), b.rank()), as_right(b).transpose(), a.transposed);
  if (a.shape.rank() > 1) return sum_to(da, a.shape);
  return sum_to(da, with(a.shape, 0, 1)).squeeze(0);
}

Tensor right_gradient(const Tensor& dc, const Tensor& a, const Operand& b) {
  const Tensor rows = as_left(a), d = as_result(dc, a.rank(), b.shape.rank());
  if (b.shape.rank() == 2 && rows.rank() > 2 && rows.numel() > 0 && d.numel() > 0)
    return product(rows_of(rows).transpose(), rows_of(d), b.transposed);
  const Tensor db = product(rows.transpose(), d, b.transposed);
  if (b.shape.rank() > 1) return sum_to(db, b.shape);
  return sum_to(db, with(b.shape, 1, 1)).squeeze(1);
}

}  // namespace

Tensor matmul(const Tensor& left, const Tensor& right) {
  const Tensor a = autograd::for_product(left), b = autograd::for_product(right);
  Tensor c = ops::matmul(a, b);
  if (!autograd::tracked(a, b)) return c;
  return autograd::record(
      "matmul", c,
      autograd::edge(a, [a = Operand(a), b = autograd::saved(b)](const Tensor& dc) { return left_gradient(dc, a, b); }),
      autograd::edge(b,
                     [a = autograd::saved(a), b = Operand(b)](const Tensor& dc) { return right_gradient(dc, a, b); }));
}

}  // namespace weft
