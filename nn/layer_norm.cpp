#include "weft/nn/layer_norm.h"

#include "weft/autograd/ops/group_norm.h"
#include "weft/nn/init.h"

namespace weft::nn {

namespace {

// Ones and zeros, if they are wanted.
void make_affine(const Shape& shape, const LayerNormOptions& options, Parameter& weight, Parameter& bias) {
  if (!options.affine) return;
  weight = Parameter(init::constant(shape, 1));
  bias = Parameter(init::constant(shape, 0));
}

Tensor on(const Parameter& p, const Tensor& x) { return p.defined() ? p.on(x.device()) : Tensor(); }

}  // namespace

LayerNorm::LayerNorm(const Shape& normalized, LayerNormOptions options) : normalized_(normalized), options_(options) {
  WEFT_CHECK(ShapeError, normalized.rank() > 0 && numel_of(normalized) > 0, "LayerNorm: normalised axes of shape ",
             normalized, "; give at least one, each positive");
  make_affine(normalized, options, weight, bias);
}

Tensor LayerNorm::forward(const Tensor& x) const {
  return layer_norm(x, normalized_, on(weight, x), on(bias, x), options_.eps);
}

std::string LayerNorm::describe() const { return weft::detail::concat("LayerNorm(", normalized_, ")"); }

GroupNorm::GroupNorm(int64_t groups, int64_t channels, LayerNormOptions options)
    : groups_(groups), channels_(channels), options_(options) {
  WEFT_CHECK(ShapeError, groups > 0 && channels > 0 && channels % groups == 0, "GroupNorm: ", channels, " channels in ",
             groups, " groups; groups must divide them");
  make_affine({channels}, options, weight, bias);
}

Tensor GroupNorm::forward(const Tensor& x) const {
  return group_norm(x, groups_, on(weight, x), on(bias, x), options_.eps);
}

std::string GroupNorm::describe() const {
  return weft::detail::concat("GroupNorm(", channels_, " in ", groups_, " groups)");
}

InstanceNorm2d::InstanceNorm2d(int64_t channels, LayerNormOptions options) : channels_(channels), options_(options) {
  WEFT_CHECK(ShapeError, channels > 0, "InstanceNorm2d: ", channels, " channels");
  make_affine({channels}, options, weight, bias);
}

Tensor InstanceNorm2d::forward(const Tensor& x) const {
  WEFT_CHECK(ShapeError, x.rank() > 1 && x.size(1) == channels_, "InstanceNorm2d: input of shape ", x.shape(),
             ", made for ", channels_, " channels");
  return instance_norm(x, on(weight, x), on(bias, x), options_.eps);
}

std::string InstanceNorm2d::describe() const {
  return weft::detail::concat("InstanceNorm2d(", channels_, options_.affine ? "" : ", no affine", ")");
}

}  // namespace weft::nn
