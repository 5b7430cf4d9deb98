#include "weft/nn/loss.h"

#include "weft/autograd/ops/cross_entropy.h"
#include "weft/autograd/ops/unary.h"
#include "weft/tensor/operators.h"

namespace weft::nn {

LossParts SoftmaxCrossEntropyLoss::parts(const Tensor& logits, const Tensor& labels) const {
  CrossEntropySum halves =
      cross_entropy_sum(logits, labels,
                        {.ignore_label = options_.ignore_label,
                         .weights = options_.weights.defined() ? options_.weights.to(logits.device()) : Tensor()});
  return {std::move(halves.sum), std::move(halves.weight)};
}

LossParts MixSoftmaxCrossEntropyLoss::parts(const Tensor& main, const Tensor& aux, const Tensor& labels) const {
  const LossParts first = loss_.parts(main, labels), second = loss_.parts(aux, labels);
  return {first.sum + second.sum * aux_weight_, first.weight};
}

LossParts MSELoss::parts(const Tensor& prediction, const Tensor& target) const {
  WEFT_CHECK(ShapeError, prediction.shape() == target.shape(), "MSELoss: prediction ", prediction.shape(), ", target ",
             target.shape());
  const Tensor sum = square(prediction - target).sum();
  return {sum, full({}, static_cast<double>(prediction.numel()), {.dtype = sum.dtype(), .device = sum.device()})};
}

}  // namespace weft::nn
