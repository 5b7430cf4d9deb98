// gradcheck, gradgradcheck: analytic gradients against central differences in f64.
#pragma once

#include <functional>
#include <string>

#include "weft/autograd/backward.h"

namespace weft::autograd {

struct GradcheckOptions {
  double eps = 1e-6;
  double atol = 1e-5;
  double rtol = 1e-3;
};

/// What a check found; true if all gradients agree, else the text names input, element and both numbers.
struct GradcheckResult {
  bool ok = true;
  std::string text = {};
  explicit operator bool() const { return ok; }
};

using GradcheckFunction = std::function<Tensor(const Tensors&)>;

/// Compares d(sum(w * f(x)))/dx for a fixed random w. Inputs must be f64; integer inputs are passed through unchecked.
/// f must be a pure function of its inputs.
GradcheckResult gradcheck(const GradcheckFunction& f, const Tensors& inputs, const GradcheckOptions& options = {});
/// The same for the gradient of f as a function of x and of the incoming gradient.
GradcheckResult gradgradcheck(const GradcheckFunction& f, const Tensors& inputs, const GradcheckOptions& options = {});

}  // namespace weft::autograd
