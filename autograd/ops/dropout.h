// Recorded dropout.
#pragma once

#include "weft/tensor/random.h"

namespace weft {

/// In training (is_training()): every element is 0 with probability p, else x / (1 - p). Otherwise, and for p = 0, x
/// itself. The mask comes from this thread's generator and the element's place in the whole batch (axis 0 counts
/// samples), so it does not depend on layout, device, or how a batch is split.
Tensor dropout(const Tensor& x, double p = 0.5);

namespace autograd {
/// Dropout, in training or not, with the mask of a given call; its own gradient.
Tensor dropout(const Tensor& x, double p, const RandomCall& call);
}  // namespace autograd

}  // namespace weft
