// y = m x / (1 - p) with a mask m of zeros and ones;   dx = m dy / (1 - p), the mask drawn again
#include "weft/autograd/ops/dropout.h"

#include "weft/autograd/record.h"
#include "weft/tensor/ops/dropout.h"

namespace weft {

Tensor dropout(const Tensor& x, double p) {
  WEFT_CHECK(Error, p >= 0 && p <= 1, "dropout: p is ", p, "; it is the probability of zero, in [0, 1]");
  if (!autograd::is_training() || p == 0) return x;
  return autograd::dropout(x, p, default_generator().next(x.shape()));
}

Tensor autograd::dropout(const Tensor& x, double p, const RandomCall& call) {
  Tensor y = ops::dropout(x, p, call);
  if (!tracked(x)) return y;
  return record("dropout", y, edge(x, [p, call](const Tensor& dy) { return dropout(dy, p, call); }));
}

}  // namespace weft
