// Trainer: gradients summed over devices, then one step of the optimizer on every copy.
#pragma once

#include <memory>

#include "weft/nn/optim/optimizer.h"
#include "weft/nn/parameter.h"

namespace weft::nn::optim {
class GradScaler;
}
namespace weft::parallel {

struct Bucket;
class Reducer;

struct TrainerOptions {
  bool ignore_stale_grad = false;            ///< leave out parameters without a fresh gradient instead of throwing
  bool check_finite = false;                 ///< throw before the update if a gradient holds NaN or infinity
  int64_t bucket_bytes = int64_t{25} << 20;  ///< gradients are summed in buckets of about this size, the first of 1 MiB
  /// From the second step on, buckets are summed while the backward pass of parallel_backward() still runs, into memory
  /// of their own (as large as the gradients of a place, on each): same bits, and gradients stay those of their device
  /// until allreduce_grads() or step(). A pass under no_sync(), of GradReq::add or with create_graph sums nothing.
  bool overlap = true;
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

  /// The same for parameters with settings of their own.
  template <class Opt>
  Trainer(std::vector<nn::optim::ParameterGroup> groups, const Opt& optimizer, const TrainerOptions& options = {})
      : Trainer(std::move(groups), optimizer.clone(), options) {}
  Trainer(std::vector<nn::optim::ParameterGroup> groups, std::unique_ptr<nn::optim::Optimizer> optimizer,
          const TrainerOptions& options = {});

  /// allreduce_grads() and update(n). `n` divides the gradients: 1 for losses that add up to the loss of the batch, the
  /// batch size for losses that are sums over samples. If it throws, values of all copies and the optimizer's state are
  /// as before.
  void step(double n = 1);
  /// The same for gradients of losses that `scaler` scaled: divided by the scale, and where one is not finite on any
  /// device, no value changes on any; call scaler.update() then. steps() counts such a step, the optimizer does not.
  void step(double n, nn::optim::GradScaler& scaler);
  /// Sums the fresh gradients of every parameter over its copies; all copies then hold the sum. Copies without one
  /// count as zero. A second call before the next backward pass does nothing. Throws AutogradError, before anything is
  /// changed: `step: no fresh gradient for 'fc.weight' …`; or a backward pass changed some of the sums.
  void allreduce_grads();
  /// The optimizer's step on every copy, from the gradients as they are. Throws before anything is changed.
  void update(double n = 1);
  void update(double n, nn::optim::GradScaler& scaler);

  /// allreduce_grads(), then nn::optim::clip_grad_norm or clip_grad_value on gradients divided by n. The norm is the
  /// one before, of the gradients of the batch, whatever the number of devices.
  double clip_grad_norm(double max_norm, double n = 1);
  void clip_grad_value(double limit, double n = 1);

  /// allreduce_grads(), then divides the gradients by the scale, for clipping or to look at them; the step with the
  /// same scaler, which must come before another backward pass, does not divide again. Afterwards clip_grad_norm()
  /// leaves gradients whose norm is not finite as they are and returns it: the step will be skipped.
  void unscale_grads(nn::optim::GradScaler& scaler);

  /// Gradients of several passes add up until the next update, although the parameters ask for `write`:
  ///   for (auto& part : parts) { auto scope = trainer.no_sync();  …record, backward… }
  ///   trainer.step();
  /// A scope covers forward and backward passes; gradients that were not used yet count, those of the last step do not.
  /// Further passes after the scope add up as well. Steps inside are an AutogradError. The trainer must not move
  /// meanwhile.
  class NoSync {
   public:
    explicit NoSync(Trainer& trainer);
    ~NoSync();
    NoSync(const NoSync&) = delete;
    NoSync& operator=(const NoSync&) = delete;

   private:
    Trainer& trainer_;
  };
  [[nodiscard]] NoSync no_sync() { return NoSync(*this); }
  /// Drops all gradients, and with them the sums of allreduce_grads() and what no_sync() gathered.
  void zero_grad();

  /// Settings of group i, read at every step; its list of parameters is not looked at again.
  nn::optim::ParameterGroup& group(size_t i);
  double learning_rate() const;
  void set_learning_rate(double lr);
  /// Steps, skipped ones too.
  int64_t steps() const;

  /// The optimizer's state of all parameters by the names they had when the trainer was built ("fc.weight.momentum";
  /// the second of a name is "fc.weight#2.momentum"), copied to the host, and the number of steps ("steps", int64;
  /// with a scaler also "skipped"). Carries no devices.
  std::vector<std::pair<std::string, Tensor>> state() const;
  /// Takes back what state() gave, on any devices. Throws CheckpointError listing all that is missing or has another
  /// shape; then nothing is changed.
  void load_state(const std::vector<std::pair<std::string, Tensor>>& state);

 private:
  struct Slot;
  std::vector<nn::Parameter> trained() const;
  std::vector<Slot*> fresh_slots();
  void finish_sums(const std::vector<Slot*>& fresh);
  void forget_dropped() noexcept;
  void check_finite(const std::vector<Slot*>& fresh) const;
  std::vector<Bucket> lay_out(const std::vector<Slot*>& fresh, std::vector<std::vector<Slot*>>& slots) const;
  Tensors sums_of(const Bucket& bucket, const std::vector<Slot*>& slots) const;
  void expect(const std::vector<Bucket>& buckets);
  using Updates = std::vector<std::vector<nn::optim::Update>>;  // of each place
  using Gates = std::vector<std::pair<Device, Tensor>>;         // see tensor/ops/loss_scale.h
  void step(double n, nn::optim::GradScaler* scaler);
  void update(double n, nn::optim::GradScaler* scaler);
  void commit(const Updates& updates, const Gates& gates, double n);
  Gates gates_of(const Updates& updates, const std::vector<Slot*>& fresh, nn::optim::GradScaler* scaler) const;
  Tensor gate_of(const Tensors& gradients, const nn::optim::GradScaler& scaler) const;
  void finish_gates(const Gates& gates, nn::optim::GradScaler* scaler);
  void place_states();

  std::unique_ptr<nn::optim::Optimizer> optimizer_;
  TrainerOptions options_;
  std::vector<nn::optim::ParameterGroup> groups_;
  double first_lr_;
  std::vector<Slot> slots_;
  int64_t steps_ = 0;
  int pauses_ = 0;                    // scopes of no_sync()
  Gates unscaled_;                    // of unscale_grads(), until the step …
  uint64_t unscaled_writes_ = 0;      // … and what tells whether gradients changed since
  Gates skipped_;                     // number of skipped steps, on each device; none: no scaler so far
  std::shared_ptr<Reducer> reducer_;  // none before the first step on several devices
  bool broken_ = false;               // copies differ and could not be repaired
};

}  // namespace weft::parallel
