#include "weft/autograd/gradcheck.h"

#include <cmath>

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/record_scope.h"

namespace weft::autograd {

namespace {

// Fixed weights in [-1, 1), none of them near zero: a small linear congruence suffices.
Tensor fixed_weights(const Shape& shape, Device device, uint64_t seed) {
  std::vector<double> values(static_cast<size_t>(numel_of(shape)));
  uint64_t state = seed * 2 + 1;
  for (double& value : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const double unit = static_cast<double>(state >> 11) * 0x1p-53;
    value = unit < 0.5 ? -0.25 - 1.5 * unit : 0.25 + 1.5 * (unit - 0.5);
  }
  return tensor(values, shape, device);
}

bool is_checked(const Tensor& x) { return is_floating(x.dtype()); }

double weighted(const GradcheckFunction& f, const Tensors& inputs, const Tensor& weights) {
  const NoGrad pause;
  return sum(mul(f(inputs), weights)).item<double>();
}

// One input's gradient by central differences, element by element.
std::vector<double> numeric(const GradcheckFunction& f, Tensors inputs, size_t which, const Tensor& weights,
                            double eps) {
  const Tensor original = inputs[which];
  std::vector<double> values = original.to_vector<double>();
  std::vector<double> slopes(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const double centre = values[i];
    double at[2];
    for (int side = 0; side < 2; ++side) {
      values[i] = centre + (side ? eps : -eps);
      inputs[which] = tensor(values, original.shape(), original.device());
      at[side] = weighted(f, inputs, weights);
    }
    values[i] = centre;
    slopes[i] = (at[1] - at[0]) / (2 * eps);
  }
  return slopes;
}

Tensors as_leaves(const Tensors& inputs) {
  Tensors leaves;
  for (const Tensor& x : inputs) leaves.push_back(is_checked(x) ? x.detach().attach_grad() : x);
  return leaves;
}

Tensors only_checked(const Tensors& inputs) {
  Tensors some;
  for (const Tensor& x : inputs)
    if (is_checked(x)) some.push_back(x);
  return some;
}

GradcheckResult compare(size_t which, const std::vector<double>& analytic, const std::vector<double>& expected,
                        const GradcheckOptions& options) {
  for (size_t i = 0; i < expected.size(); ++i) {
    const double error = std::fabs(analytic[i] - expected[i]);
    if (error <= options.atol + options.rtol * std::fabs(expected[i])) continue;  // false for NaN
    return {false, weft::detail::concat("gradcheck: input ", which, ", element ", i, ": gradient ", analytic[i],
                                        ", by differences ", expected[i])};
  }
  return {};
}

}  // namespace

GradcheckResult gradcheck(const GradcheckFunction& f, const Tensors& inputs, const GradcheckOptions& options) {
  for (const Tensor& x : inputs)
    WEFT_CHECK(AutogradError, !is_checked(x) || x.dtype() == DType::f64, "gradcheck: needs float64 inputs, got ",
               x.dtype());
  const Tensors leaves = as_leaves(inputs);
  Tensor y;
  {
    const Record record(is_training());
    y = f(leaves);
  }
  const Tensor weights = fixed_weights(y.shape(), y.device(), 7);
  if (!y.requires_grad()) return {false, "gradcheck: the output does not depend on any input as far as the tape knows"};
  const Tensors analytic = grad({y}, only_checked(leaves), {.head_grads = {weights}, .allow_unused = true});
  size_t k = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!is_checked(inputs[i])) continue;
    const Tensor& dx = analytic[k++];
    if (dx.defined() && dx.shape() != inputs[i].shape())
      return {false, weft::detail::concat("gradcheck: input ", i, " has shape ", inputs[i].shape(), ", its gradient ",
                                          dx.shape())};
    const auto expected = numeric(f, inputs, i, weights, options.eps);
    const auto found = dx.defined() ? dx.to_vector<double>() : std::vector<double>(expected.size(), 0.0);
    if (GradcheckResult result = compare(i, found, expected, options); !result) return result;
  }
  return {};
}

GradcheckResult gradgradcheck(const GradcheckFunction& f, const Tensors& inputs, const GradcheckOptions& options) {
  Tensor sample;
  {
    const NoGrad pause;
    sample = f(inputs);
  }
  Tensors extended = inputs;
  extended.push_back(fixed_weights(sample.shape(), sample.device(), 11));
  const size_t count = inputs.size();
  const bool training = is_training();
  // The weighted sum of all first gradients, as a function of the inputs and of the incoming gradient.
  const auto first = [&f, count, training](const Tensors& all) {
    const bool outer = is_recording();
    const Record record(training);
    Tensors x(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
    for (Tensor& t : x)
      if (is_checked(t) && !t.requires_grad()) t = t.detach().attach_grad();
    const Tensor y = f(x);
    const Tensors dx =
        grad({y}, only_checked(x), {.head_grads = {all[count]}, .create_graph = outer, .allow_unused = true});
    Tensor total;
    for (size_t i = 0; i < dx.size(); ++i) {
      if (!dx[i].defined()) continue;
      const Tensor part = sum(mul(dx[i], fixed_weights(dx[i].shape(), dx[i].device(), 13 + i)));
      total = total.defined() ? add(total, part) : part;
    }
    return total;
  };
  GradcheckResult result = gradcheck(first, extended, options);
  if (!result) result.text = "second order: " + result.text;
  return result;
}

}  // namespace weft::autograd
