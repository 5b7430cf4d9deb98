// Optimizer: from gradients to new values. Knows nothing of devices: a trainer hands it one device's tensors at a time
// and keeps the state.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weft/nn/parameter.h"
#include "weft/tensor/tensor.h"

namespace weft::nn::optim {

/// One parameter on one device. `gradient` has the value's shape; `state` holds what make_state() gave, changed in
/// place.
struct Update {
  Tensor value, gradient;
  std::span<Tensor> state;
  double lr_mult = 1, wd_mult = 1;
  std::optional<double> weight_decay = {};  ///< instead of the optimizer's
};

/// Parameters that are trained with settings of their own, which hold beside each parameter's own multipliers.
struct ParameterGroup {
  std::vector<Parameter> parameters;
  std::optional<double> lr = {};            ///< instead of the optimizer's first rate; a schedule scales both alike
  std::optional<double> weight_decay = {};  ///< instead of the optimizer's
  double lr_mult = 1, wd_mult = 1;
};

/// Two groups for parameters as they are usually trained: weights, and those of rank 0 or 1 (bias, gamma, beta)
/// without decay.
std::vector<ParameterGroup> no_decay_for_vectors(const std::vector<Parameter>& parameters);

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual std::unique_ptr<Optimizer> clone() const = 0;
  /// Names of a parameter's states, e.g. {"momentum"}.
  virtual std::vector<std::string> state_names() const = 0;
  /// Zeros, dense in the order of the value.
  std::vector<Tensor> make_state(const Tensor& value) const;
  /// Updates all tensors in place, on their device's current stream; only launches, no allocations. `step` counts
  /// from 1. `scale` multiplies every gradient. f32 and f64; gradients must have the values' strides (see
  /// dense_gradient). `gate`, undefined without loss scaling, is on the same device: what tensor/ops/loss_scale.h says
  /// of it holds, its step counts instead of `step`.
  virtual void apply(std::span<const Update> updates, int64_t step, double scale, const Tensor& gate = {}) const = 0;

  double learning_rate() const { return lr_; }
  void set_learning_rate(double lr) { lr_ = lr; }

 protected:
  Optimizer(double lr, double weight_decay) : lr_(lr), weight_decay_(weight_decay) {}
  double lr_, weight_decay_;
};

struct SGDOptions {
  double lr = 0.01;
  double momentum = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

class SGD final : public Optimizer {
 public:
  /// Throws Error on a negative number, or nesterov without momentum.
  explicit SGD(const SGDOptions& options = {});
  std::unique_ptr<Optimizer> clone() const override { return std::make_unique<SGD>(*this); }
  std::vector<std::string> state_names() const override;
  void apply(std::span<const Update> updates, int64_t step, double scale, const Tensor& gate = {}) const override;

 private:
  double momentum_;
  bool nesterov_;
};

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
};

class Adam : public Optimizer {
 public:
  /// Decay is added to the gradient. Throws Error on betas outside [0, 1) or negative numbers.
  explicit Adam(const AdamOptions& options = {}) : Adam(options, false) {}
  std::unique_ptr<Optimizer> clone() const override { return std::make_unique<Adam>(*this); }
  std::vector<std::string> state_names() const override { return {"mean", "square"}; }
  void apply(std::span<const Update> updates, int64_t step, double scale, const Tensor& gate = {}) const override;

 protected:
  Adam(const AdamOptions& options, bool decoupled);

 private:
  double beta1_, beta2_, eps_;
  bool decoupled_;
};

struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
};

/// Adam whose decay shrinks the value directly. https://arxiv.org/abs/1711.05101
class AdamW final : public Adam {
 public:
  explicit AdamW(const AdamWOptions& o = {}) : Adam({o.lr, o.beta1, o.beta2, o.eps, o.weight_decay}, true) {}
  std::unique_ptr<Optimizer> clone() const override { return std::make_unique<AdamW>(*this); }
};

struct RMSpropOptions {
  double lr = 0.01;
  double alpha = 0.99;  ///< weight of the old mean square
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;  ///< divides by the deviation instead of the root mean square
};

class RMSprop final : public Optimizer {
 public:
  /// Throws Error on alpha outside [0, 1) or negative numbers.
  explicit RMSprop(const RMSpropOptions& options = {});
  std::unique_ptr<Optimizer> clone() const override { return std::make_unique<RMSprop>(*this); }
  std::vector<std::string> state_names() const override;
  void apply(std::span<const Update> updates, int64_t step, double scale, const Tensor& gate = {}) const override;

 private:
  RMSpropOptions options_;
};

/// The gradient as apply() wants it: of the value's dtype and strides, copied only if it is not so already.
Tensor dense_gradient(const Tensor& gradient, const Tensor& value);

}  // namespace weft::nn::optim
