// y = a where c, else b;   da = dy where c, else 0,   db = 0 where c, else dy; each summed over what was broadcast
#include "weft/autograd/ops/where.h"

#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/where.h"

namespace weft {

namespace {

using namespace autograd;

auto edge_a(const Tensor& condition, const Tensor& a) {
  return edge(a, [c = saved(condition), shape = a.shape(), dtype = a.dtype()](const Tensor& dy) {
    return to(sum_to(where(c, dy, 0.0), shape), dtype);
  });
}
auto edge_b(const Tensor& condition, const Tensor& b) {
  return edge(b, [c = saved(condition), shape = b.shape(), dtype = b.dtype()](const Tensor& dy) {
    return to(sum_to(where(c, 0.0, dy), shape), dtype);
  });
}

}  // namespace

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  Tensor y = ops::where(condition, a, b);
  if (!tracked(a, b)) return y;
  return record("where", y, edge_a(condition, a), edge_b(condition, b));
}

Tensor where(const Tensor& condition, const Tensor& a, double b) {
  Tensor y = ops::where(condition, a, b);
  return tracked(a) ? record("where", y, edge_a(condition, a)) : y;
}

Tensor where(const Tensor& condition, double a, const Tensor& b) {
  Tensor y = ops::where(condition, a, b);
  return tracked(b) ? record("where", y, edge_b(condition, b)) : y;
}

}  // namespace weft
