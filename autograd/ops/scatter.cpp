// y_i = x_i + the sum of s_j over all j with index(j) = i;   dx = dy,   ds_j = dy_index(j)
#include "weft/autograd/ops/scatter.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/gather.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/scatter.h"

namespace weft {

using namespace autograd;

Tensor scatter_add(const Tensor& start, int64_t axis, const Tensor& index, const Tensor& terms) {
  const Tensor x = as_wide_as(start, terms), source = as_wide_as(terms, start);
  Tensor y = ops::scatter_add(x, axis, index, source);
  if (!tracked(x, source)) return y;
  return record("scatter_add", y, edge(x, [](const Tensor& dy) { return dy; }),
                edge(source, [axis, index = saved(index)](const Tensor& dy) { return gather(dy, axis, index); }));
}

Tensor index_add(const Tensor& start, int64_t axis, const Tensor& index, const Tensor& terms) {
  const Tensor x = as_wide_as(start, terms), source = as_wide_as(terms, start);
  Tensor y = ops::index_add(x, axis, index, source);
  if (!tracked(x, source)) return y;
  return record("index_add", y, edge(x, [](const Tensor& dy) { return dy; }),
                edge(source, [axis, index = saved(index)](const Tensor& dy) { return index_select(dy, axis, index); }));
}

}  // namespace weft
