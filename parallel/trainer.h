// Trainer: gradients summed over devices, then one step of the optimizer on every copy.
#pragma once

#include <memory>

#include "weft/nn/optim/optimizer.h"
#include "weft/nn/parameter.h"

namespace weft::parallel {

struct TrainerOptions {
  bool ignore_stale_grad = false;            ///< leave out parameters without a fresh gradient instead of throwing
  bool check_finite = false;                 ///< throw before the update if a gradient holds NaN or infinity
  int64_t bucket_bytes = int64_t{25} << 20;  ///< gradients are summed in buckets of about this size, the first of 1 MiB
};

class Trainer {
 public:
  /// Keeps handles to the parameters and a copy of the optimizer. Frozen parameters are left out. All must be on the
  /// same devices: DeviceError naming two that are not.
  template <class Opt>
  Trainer(std::vector<nn::Parameter> parameters, const Opt& optimizer, const TrainerOptions& options = {})
      : Trainer(std::move(parameters), optimizer.clone(), options) {}
  Trainer(std::vector<nn::Parameter> parameters, std::unique_ptr<nn::optim::Optimizer> optimizer,
          const TrainerOptions& options = {});
  ~Trainer();
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;

  /// allreduce_grads() and update(n). `n` divides the gradients: 1 for losses that add up to the loss of the batch, the
  /// batch size for losses that are sums over samples. If it throws, values of all copies and the optimizer's state are
  /// as before.
  void step(double n = 1);
  /// Sums the fresh gradients of every parameter over its copies; all copies then hold the sum. Copies without one
  /// count as zero. Throws AutogradError `step: no fresh gradient for 'fc.weight' …` before anything is changed.
  void allreduce_grads();
  /// The optimizer's step on every copy, from the gradients as they are. Throws before anything is changed.
  void update(double n = 1);

  double learning_rate() const;
  void set_learning_rate(double lr);
  /// Steps taken.
  int64_t steps() const;

  /// The optimizer's state of all parameters by name ("fc.weight.momentum"), copied to the host, and the number of
  /// steps
  /// ("steps", int64). Carries no devices.
  std::vector<std::pair<std::string, Tensor>> state() const;
  /// Takes back what state() gave, on any devices. Throws CheckpointError listing all that is missing or has another
  /// shape; then nothing is changed.
  void load_state(const std::vector<std::pair<std::string, Tensor>>& state);

 private:
  struct Slot;
  std::vector<Slot*> fresh_slots();
  void check_finite(const std::vector<Slot*>& fresh) const;
  std::vector<Tensors> reduce_bucket(const std::vector<Slot*>& bucket) const;
  void commit(const std::vector<std::vector<nn::optim::Update>>& updates, double n);
  void place_states();

  std::unique_ptr<nn::optim::Optimizer> optimizer_;
  TrainerOptions options_;
  std::vector<Slot> slots_;
  int64_t steps_ = 0;
  bool broken_ = false;  // copies differ and could not be repaired
};

}  // namespace weft::parallel
