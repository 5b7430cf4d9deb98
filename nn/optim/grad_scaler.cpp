#include "weft/nn/optim/grad_scaler.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/creation.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/loss_scale.h"
#include "weft/tensor/ops/view.h"

namespace weft::nn::optim {

namespace {

Tensor state_of(double scale, double tracker) {
  const std::vector<float> values{static_cast<float>(scale), static_cast<float>(tracker)};
  return tensor(values, {2}, Device());
}

void check(const GradScalerOptions& o) {
  WEFT_CHECK(Error, o.init_scale > 0 && std::isfinite(static_cast<float>(o.init_scale)), "GradScaler: init_scale is ",
             o.init_scale, "; it must be a positive float32");
  WEFT_CHECK(Error, o.growth_factor >= 1, "GradScaler: growth_factor is ", o.growth_factor, "; it must be at least 1");
  WEFT_CHECK(Error, o.backoff_factor > 0 && o.backoff_factor <= 1, "GradScaler: backoff_factor is ", o.backoff_factor,
             "; it must be in (0, 1]");
  WEFT_CHECK(Error, o.growth_interval >= 1 && o.growth_interval < (int64_t{1} << 24), "GradScaler: growth_interval is ",
             o.growth_interval, "; it must be in [1, 2^24)");
}

}  // namespace

struct GradScaler::State {
  std::mutex mutex;                 // workers scale losses of their own
  Tensor home;                      // the state of tensor/ops/loss_scale.h, where it was last computed …
  std::map<Device, Tensor> copies;  // … and elsewhere
  std::vector<std::pair<const void*, Tensor>> verdicts;
};

GradScaler::GradScaler(const GradScalerOptions& options) : options_(options), state_(std::make_unique<State>()) {
  check(options);
  state_->home = state_of(options.init_scale, 0);
}
GradScaler::~GradScaler() = default;
GradScaler::GradScaler(GradScaler&&) noexcept = default;
GradScaler& GradScaler::operator=(GradScaler&&) noexcept = default;

Tensor GradScaler::scale(const Tensor& loss) const {
  if (!options_.enabled) return loss;
  const Tensor factor = ops::select(state_on(loss.device()), 0, 0);
  const autograd::ModeGuard mode({loss.requires_grad(), autograd::is_training()});
  return mul(loss, factor);
}

Tensors GradScaler::scale(const Tensors& losses) const {
  Tensors scaled;
  for (const Tensor& loss : losses) scaled.push_back(scale(loss));
  return scaled;
}

PerDevice<Tensor> GradScaler::scale(const PerDevice<Tensor>& losses) const {
  PerDevice<Tensor> scaled = losses;
  for (Tensor& loss : scaled)
    if (loss.defined()) loss = scale(loss);
  return scaled;
}

void GradScaler::update() {
  if (!options_.enabled) return;
  const autograd::NoGrad pause;
  const std::lock_guard lock(state_->mutex);
  WEFT_CHECK(Error, !state_->verdicts.empty(),
             "GradScaler: update() without a step since the last one; call trainer.step(n, scaler) first");
  const auto closed_of = [](const Tensor& gate) { return ops::select(gate, 0, gate_closed); };
  Tensor closed = closed_of(state_->verdicts[0].second);
  const Device device = closed.device();
  for (size_t i = 1; i < state_->verdicts.size(); ++i)
    closed = ops::maximum(closed, ops::to(closed_of(state_->verdicts[i].second), device));
  const Tensor state = ops::to(state_->home, device);
  state_->home =
      ops::next_loss_scale(state, closed, options_.growth_factor, options_.backoff_factor, options_.growth_interval);
  state_->copies.clear();
  state_->verdicts.clear();
}

double GradScaler::current_scale() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<double>(state_->home.to_vector<float>()[0]);
}

std::vector<std::pair<std::string, Tensor>> GradScaler::state() const {
  const std::lock_guard lock(state_->mutex);
  const std::vector<float> values = state_->home.to_vector<float>();
  return {{"scale", tensor<float>(values[0], Device())},
          {"growth_tracker", tensor<int64_t>(static_cast<int64_t>(values[1]), Device())}};
}

void GradScaler::load_state(const std::vector<std::pair<std::string, Tensor>>& state) {
  double values[2] = {0, 0};
  const char* const names[2] = {"scale", "growth_tracker"};
  std::string wrong;
  for (int i = 0; i < 2; ++i) {
    const auto found =
        std::find_if(state.begin(), state.end(), [&](const auto& each) { return each.first == names[i]; });
    if (found == state.end())
      wrong += weft::detail::concat(" ", names[i], " is missing.");
    else if (found->second.numel() != 1)
      wrong += weft::detail::concat(" ", names[i], " has shape ", found->second.shape(), ".");
    else
      values[i] = found->second.to(DType::f64).item<double>();
  }
  WEFT_CHECK(CheckpointError, wrong.empty(), "GradScaler: the state does not fit:", wrong, " Nothing was changed");
  WEFT_CHECK(CheckpointError, values[0] > 0 && std::isfinite(values[0]) && values[1] >= 0,
             "GradScaler: the state has a scale of ", values[0], " and ", values[1],
             " steps since it changed. Nothing was changed");
  const std::lock_guard lock(state_->mutex);
  state_->home = state_of(values[0], values[1]);
  state_->copies.clear();
  state_->verdicts.clear();
}

Tensor GradScaler::state_on(Device device) const {
  const std::lock_guard lock(state_->mutex);
  if (state_->home.device() == device) return state_->home;
  Tensor& copy = state_->copies[device];
  if (!copy.defined()) copy = ops::to(state_->home, device);
  return copy;
}

void GradScaler::check_first_step(const void* trainer) const {
  const std::lock_guard lock(state_->mutex);
  const bool first = std::none_of(state_->verdicts.begin(), state_->verdicts.end(),
                                  [&](const auto& verdict) { return verdict.first == trainer; });
  WEFT_CHECK(Error, first, "step: a second step with one scale; call scaler.update() after each step");
}

void GradScaler::note(const void* trainer, const Tensor& gate) {
  const std::lock_guard lock(state_->mutex);
  state_->verdicts.emplace_back(trainer, gate);
}

}  // namespace weft::nn::optim
