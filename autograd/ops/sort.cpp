// y_j = x_index(j), no index twice;   dx_index(j) = dy_j, 0 elsewhere
#include "weft/autograd/ops/sort.h"

#include "weft/autograd/ops/gather.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/sort.h"

namespace weft {

namespace {

SortResult sorted(const char* name, const Tensor& x, int64_t axis, bool descending, int64_t count) {
  using namespace autograd;
  Tensor index, y = ops::sort(name, x, axis, descending, count, index);
  if (tracked(x))
    y = record(name, y, edge(x, [axis, index = saved(index), shape = x.shape()](const Tensor& dy) {
                 return place(dy, axis, index, shape);
               }));
  return {y, index};
}

}  // namespace

SortResult sort(const Tensor& x, int64_t axis, bool descending) {
  return sorted("sort", x, axis, descending, x.shape()[normalize_axis("sort", axis, x.rank())]);
}

SortResult topk(const Tensor& x, int64_t k, int64_t axis, bool largest) { return sorted("topk", x, axis, largest, k); }

Tensor argsort(const Tensor& x, int64_t axis, bool descending) { return ops::argsort(x, axis, descending); }

}  // namespace weft
