// y_i = sum over k <= i of x_k;   dx_k = sum over i >= k of dy_i: the same from the other end
#include "weft/autograd/ops/cumsum.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/cumsum.h"

namespace weft {

Tensor cumsum(const Tensor& terms, int64_t axis, bool reverse) {
  using namespace autograd;
  const Tensor x = in_full(terms);
  Tensor y = ops::cumsum(x, axis, reverse);
  if (!tracked(x) || !is_floating(x.dtype())) return y;
  return record("cumsum", y, edge(x, [axis, reverse](const Tensor& dy) { return cumsum(dy, axis, !reverse); }));
}

}  // namespace weft
