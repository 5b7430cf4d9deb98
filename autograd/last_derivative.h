// The end of the road: results of a second gradient, which nothing differentiates again.
#pragma once

#include "weft/autograd/record.h"

namespace weft::autograd {

/// y on the tape, so that asking for a gradient through it throws AutogradError `<name> has no third derivative` where
/// it would silently be missing. y itself if none of the inputs is tracked.
template <class... T>
Tensor last_derivative(const char* name, Tensor y, const T&... inputs) {
  if (!y.defined() || !tracked(inputs...)) return y;
  const Tensor list[] = {inputs...};
  record_joint(name, std::span(&y, 1), list, [name](std::span<const Tensor>, std::span<const bool>) -> Tensors {
    fail<AutogradError>(name, " has no third derivative");
  });
  return y;
}

/// A value kept for the backward pass, or none.
class MaybeSaved {
 public:
  explicit MaybeSaved(const Tensor& x) {
    if (x.defined()) saved_.emplace(x);
  }
  operator Tensor() const { return saved_ ? saved_->get() : Tensor(); }

 private:
  std::optional<Saved> saved_;
};

}  // namespace weft::autograd
