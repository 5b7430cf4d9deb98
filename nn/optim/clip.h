// Clipping of gradients, between the backward pass and the optimizer's step.
#pragma once

#include <span>

#include "weft/nn/parameter.h"

namespace weft::nn::optim {

/// The Euclidean norm of all gradients together, those of rank 0's copies; 0 without gradients. Sums are in float64 and
/// in a fixed order. Waits for the device.
double grad_norm(std::span<const Parameter> parameters);

/// Scales the gradients of all copies in place by max_norm / (norm + 1e-6) if that is below 1 (PyTorch's
/// clip_grad_norm_; Pascanu et al. 2013). Returns the norm before. Copies on several devices must hold the same
/// gradients: call Trainer::allreduce_grads() first, or use Trainer::clip_grad_norm(). A norm that is NaN or infinite
/// is an Error; then nothing is changed. Without `must_be_finite` it is returned, and nothing is changed either.
double clip_grad_norm(std::span<const Parameter> parameters, double max_norm, bool must_be_finite = true);

/// Clamps every element of the gradients of all copies to +-limit, in place. If this or clip_grad_norm() fails on one
/// device, when gradients on others may have changed, all are dropped and count as those of a failed backward pass.
void clip_grad_value(std::span<const Parameter> parameters, double limit);

}  // namespace weft::nn::optim
