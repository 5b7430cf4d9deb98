#include "weft/autograd/ops/confusion_matrix.h"

#include "weft/tensor/ops/confusion_matrix.h"

namespace weft {

Tensor confusion_matrix(const Tensor& predictions, const Tensor& labels, int64_t classes, int64_t ignore_label) {
  return ops::confusion_matrix(predictions, labels, classes, ignore_label);
}

}  // namespace weft
