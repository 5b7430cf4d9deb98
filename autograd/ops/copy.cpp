// y = x elsewhere;   dx = dy brought back
#include "weft/autograd/ops/copy.h"

#include "weft/autograd/record.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"

namespace weft {

using namespace autograd;

Tensor to(const Tensor& x, Device device, const CopyOptions& options) {
  if (x.device() == device) return x;
  Tensor y = ops::to(x, device, options);
  if (!tracked(x)) return y;
  return record("to", y, edge(x, [from = x.device()](const Tensor& dy) { return to(dy, from); }));
}

Tensor to(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor y = ops::cast(x, dtype);
  if (!tracked(x) || !is_floating(dtype)) return y;
  return record("to", y, edge(x, [from = x.dtype()](const Tensor& dy) { return to(dy, from); }));
}

Tensor contiguous(const Tensor& x, Layout layout) {
  if (x.is_contiguous(layout)) return x;
  Tensor y = ops::contiguous(x, layout);
  return tracked(x) ? record("contiguous", y, edge(x, [](const Tensor& dy) { return dy; })) : y;
}

Tensor clone(const Tensor& x) {
  Tensor y = ops::clone(x);
  return tracked(x) ? record("clone", y, edge(x, [](const Tensor& dy) { return dy; })) : y;
}

}  // namespace weft
