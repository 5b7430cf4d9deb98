#include "weft/nn/loss_parts.h"

#include <limits>

#include "weft/autograd/ops/binary.h"
#include "weft/tensor/ops/binary.h"

namespace weft::nn {

Tensor divide_by_weight(const Tensor& sum, const Tensor& weight) {
  // Where no sample counts the sum is 0 as well, and 0 / smallest is 0; no host wait to find out.
  const Tensor smallest =
      full({}, std::numeric_limits<float>::min(), {.dtype = weight.dtype(), .device = weight.device()});
  return div(sum, ops::maximum(weight.detach(), smallest));
}

Tensor LossParts::mean() const { return divide_by_weight(sum, weight); }

}  // namespace weft::nn
