// GradScaler: keeps gradients of losses in f16 from vanishing. The loss is multiplied by a large number and the
// gradients are divided by it again; where they overflow, the step is skipped and the number gets smaller.
//
//   nn::optim::GradScaler scaler;
//   …
//   parallel::parallel_backward(scaler.scale(losses));
//   trainer.unscale_grads(scaler);  // only to clip, or to look at the gradients
//   trainer.clip_grad_norm(1);
//   trainer.step(1, scaler);        // no device steps if a gradient is not finite on any of them
//   scaler.update();                // after the steps of all trainers that share the scaler
//
// As torch.cuda.amp.GradScaler. The scale lives on the device, and so does the verdict, which the update itself reads:
// the host waits for neither. bf16 has the range of f32 and needs no scaling.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weft/tensor/per_device.h"
#include "weft/tensor/tensor.h"

namespace weft::nn::optim {

struct GradScalerOptions {
  double init_scale = 65536;
  double growth_factor = 2;     ///< after growth_interval steps in a row without overflow …
  double backoff_factor = 0.5;  ///< … and after a step with one
  int64_t growth_interval = 2000;
  bool enabled = true;  ///< false: all of it does nothing, so that one program serves all types
};

class GradScaler {
 public:
  /// Throws Error on a scale or factors that are not positive, a growth below 1, a backoff above 1, an interval
  /// below 1.
  explicit GradScaler(const GradScalerOptions& options = {});
  ~GradScaler();
  GradScaler(GradScaler&&) noexcept;
  GradScaler& operator=(GradScaler&&) noexcept;

  /// The loss times the scale, recorded if the loss is tracked, also outside of Record; f16 and bf16 come out in f32.
  Tensor scale(const Tensor& loss) const;
  Tensors scale(const Tensors& losses) const;
  PerDevice<Tensor> scale(const PerDevice<Tensor>& losses) const;

  /// The scale of the next losses, by the verdicts of the steps since the last update. Throws Error if there was none.
  void update();

  bool enabled() const { return options_.enabled; }
  /// Waits for the device.
  double current_scale() const;

  /// "scale" and "growth_tracker" (steps since the scale changed), on the host. Waits for the device.
  std::vector<std::pair<std::string, Tensor>> state() const;
  /// Throws CheckpointError listing what is missing or does not fit; then nothing is changed.
  void load_state(const std::vector<std::pair<std::string, Tensor>>& state);

  // For trainers.

  /// The state (tensor/ops/loss_scale.h) on a device. It changes at update() only, by becoming another tensor.
  Tensor state_on(Device device) const;
  /// Throws Error if this trainer stepped since the last update.
  void check_first_step(const void* trainer) const;
  /// Takes the verdict of a trainer's step: the gate of any of its devices.
  void note(const void* trainer, const Tensor& gate);

 private:
  struct State;
  GradScalerOptions options_;
  std::unique_ptr<State> state_;
};

}  // namespace weft::nn::optim
