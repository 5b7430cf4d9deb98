// y_j = x_index(j);   dx_i = the sum of dy_j over all j with index(j) = i
#include "weft/autograd/ops/gather.h"

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/view.h"
#include "weft/autograd/ops/where.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/scatter.h"

namespace weft {

using namespace autograd;

Tensor gather(const Tensor& x, int64_t axis, const Tensor& index) {
  Tensor y = ops::gather(x, axis, index);
  if (!tracked(x)) return y;
  return record("gather", y, edge(x, [axis, index = saved(index), shape = x.shape()](const Tensor& dy) {
                  return gather_backward(dy, axis, index, shape);
                }));
}

Tensor autograd::gather_backward(const Tensor& dy, int64_t axis, const Tensor& index, const Shape& shape) {
  Tensor dx = ops::scatter_sum(dy, axis, index, shape);
  if (!tracked(dy)) return dx;
  return record("gather_backward", dx,
                edge(dy, [axis, index = saved(index)](const Tensor& g) { return gather(g, axis, index); }));
}

Tensor index_select(const Tensor& x, int64_t axis, const Tensor& index) {
  Tensor y = ops::index_select(x, axis, index, WEFT_INDEX_USER("index_select"));
  if (!tracked(x)) return y;
  return record("index_select", y, edge(x, [axis, index = saved(index), shape = x.shape()](const Tensor& dy) {
                  return index_select_backward(dy, axis, index, shape);
                }));
}

Tensor autograd::index_select_backward(const Tensor& dy, int64_t axis, const Tensor& index, const Shape& shape) {
  Tensor dx = ops::index_sum(dy, axis, index, shape, WEFT_INDEX_USER("index_select"));
  if (!tracked(dy)) return dx;
  return record("index_select_backward", dx,
                edge(dy, [axis, index = saved(index)](const Tensor& g) { return index_select(g, axis, index); }));
}

Tensor autograd::place(const Tensor& dy, int64_t axis, const Tensor& index, const Shape& shape) {
  Tensor dx = ops::place(dy, axis, index, shape);
  if (!tracked(dy)) return dx;
  return record("place", dx,
                edge(dy, [axis, index = saved(index)](const Tensor& g) { return gather(g, axis, index); }));
}

Tensor embedding(const Tensor& table, const Tensor& index, const EmbeddingOptions& options) {
  ops::check_floating("embedding", table);
  WEFT_CHECK(ShapeError, table.rank() >= 1, "embedding: the table has shape [], not [rows, …]");
  const int64_t rows = table.shape()[0], padding = options.padding;
  WEFT_CHECK(IndexError, padding >= -1 && padding < rows, "embedding: padding ", padding, " is not one of ", rows,
             " rows; -1 means none");
  Tensor y = ops::index_select(table, 0, index, WEFT_INDEX_USER("embedding"));
  if (!tracked(table)) return y;
  return record("embedding", y, edge(table, [index = saved(index), shape = table.shape(), padding](const Tensor& dy) {
                  if (padding < 0) return index_select_backward(dy, 0, index, shape);
                  Shape per_row = index.get().shape();
                  for (int i = 1; i < shape.rank(); ++i) per_row.push_back(1);
                  const Tensor kept = where(reshape(equal(index, static_cast<double>(padding)), per_row), 0.0, dy);
                  return index_select_backward(kept, 0, index, shape);
                }));
}

}  // namespace weft
