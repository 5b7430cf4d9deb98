// y = concat(x_0, x_1, …);   dx_i = the slice of dy where x_i went
#include "weft/autograd/ops/concat.h"

#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/view.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/concat.h"

namespace weft {

using namespace autograd;

namespace {

struct Part {
  int64_t extent;
  DType dtype;
};

}  // namespace

Tensor concat(const Tensors& parts, int64_t axis) {
  Tensor y = ops::concat(parts, axis);
  bool any = false;
  for (const Tensor& x : parts) any = any || tracked(x);
  if (!any) return y;
  std::vector<Part> places;
  for (const Tensor& x : parts) places.push_back({x.size(axis), x.dtype()});
  record_joint("concat", {&y, 1}, parts, [places, axis](std::span<const Tensor> dys, std::span<const bool> wanted) {
    Tensors dxs(places.size());
    int64_t start = 0;
    for (size_t i = 0; i < places.size(); ++i) {
      const int64_t stop = start + places[i].extent;
      if (wanted[i]) dxs[i] = to(slice(dys[0], axis, start, stop), places[i].dtype);
      start = stop;
    }
    return dxs;
  });
  return y;
}

Tensor stack(const Tensors& parts, int64_t axis) {
  Tensors longer;
  for (const Tensor& x : parts) longer.push_back(unsqueeze(x, axis));
  return concat(longer, axis);
}

}  // namespace weft
