// y = x where the mask does not hold, else a number;   dx = dy there, 0 elsewhere (by where)
#include "weft/autograd/ops/mask.h"

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/view.h"
#include "weft/autograd/ops/where.h"
#include "weft/tensor/ops/gather.h"

namespace weft {

namespace {

// column - row of every element of the last two axes: [rows, columns].
Tensor diagonals(const char* name, const Tensor& x) {
  WEFT_CHECK(ShapeError, x.rank() >= 2, name, ": shape ", x.shape(), " has no last two axes; reshape it to a matrix");
  const TensorOptions options{.dtype = DType::i64, .device = x.device()};
  const Tensor rows = arange(0, static_cast<double>(x.size(-2)), 1, options);
  return arange(0, static_cast<double>(x.size(-1)), 1, options) - unsqueeze(rows, 1);
}

}  // namespace

Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) {
  WEFT_CHECK(DtypeError, mask.dtype() == DType::boolean, "masked_fill: the mask is ", mask.dtype(),
             ", not bool; compare it with a number, as in not_equal(x, 0)");
  WEFT_CHECK(ShapeError, broadcast("masked_fill", x.shape(), mask.shape()) == x.shape(),
             "masked_fill: a mask of shape ", mask.shape(), " does not broadcast to ", x.shape());
  return where(mask, value, x);
}

Tensor triu(const Tensor& x, int64_t diagonal) {
  return where(greater_equal(diagonals("triu", x), static_cast<double>(diagonal)), x, 0.0);
}

Tensor tril(const Tensor& x, int64_t diagonal) {
  return where(less_equal(diagonals("tril", x), static_cast<double>(diagonal)), x, 0.0);
}

Tensor one_hot(const Tensor& index, int64_t classes, DType dtype) {
  WEFT_CHECK(ShapeError, classes >= 0, "one_hot: ", classes, " classes; give their number");
  const Tensor dense = ops::checked_index(WEFT_INDEX_USER("one_hot"), index, index, classes);
  const Tensor all = arange(0, static_cast<double>(classes), 1, {.dtype = dense.dtype(), .device = index.device()});
  return to(equal(unsqueeze(dense, -1), all), dtype);
}

}  // namespace weft
