// Schedules: the learning rate as a function of the step, counted from 0. Nothing is stored between steps, so a resumed
// training needs only its step:
//
//   const auto schedule = warm_up(100, poly(0.01, {.steps = 4000}));
//   trainer.set_learning_rate(schedule(trainer.steps()));
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace weft::nn::optim {

/// A learning rate for every step >= 0. Cheap to copy.
class Schedule {
 public:
  struct Curve {
    virtual ~Curve() = default;
    virtual double at(int64_t step) const = 0;
  };
  explicit Schedule(std::shared_ptr<const Curve> curve) : curve_(std::move(curve)) {}
  /// From any function of the step.
  template <class F>
  static Schedule of(F f) {
    struct Function final : Curve {
      explicit Function(F g) : function(std::move(g)) {}
      double at(int64_t step) const override { return function(step); }
      F function;
    };
    return Schedule(std::make_shared<const Function>(std::move(f)));
  }
  /// Negative steps count as 0.
  double operator()(int64_t step) const { return curve_->at(step < 0 ? 0 : step); }

 private:
  std::shared_ptr<const Curve> curve_;
};

// linear, cosine and poly run from `lr` at step 0 to `final` at step `steps` - 1, the last of a training of that many
// steps, and stay there: with T = min(step, steps - 1) / (steps - 1),
//   linear  final + (lr - final) (1 - T)
//   cosine  final + (lr - final) (1 + cos(pi T)) / 2    (Loshchilov and Hutter 2017)
//   poly    final + (lr - final) (1 - T)^power          (as gluon-cv's LRScheduler)
struct DecayOptions {
  int64_t steps = 0;  ///< positive
  double final = 0;
};
struct PolyOptions {
  int64_t steps = 0;
  double power = 0.9;
  double final = 0;
};
Schedule constant(double lr);
/// Throw Error where `steps` is not positive.
Schedule linear(double lr, const DecayOptions& options);
Schedule cosine(double lr, const DecayOptions& options);
Schedule poly(double lr, const PolyOptions& options);

/// lr * factor^floor(step / every).
Schedule step(double lr, int64_t every, double factor = 0.1);
/// lr * factor^(number of milestones <= step); milestones ascend.
Schedule multi_step(double lr, std::vector<int64_t> milestones, double factor = 0.1);

struct OneCycleOptions {
  int64_t steps = 0;           ///< of the whole cycle
  double rising = 0.3;         ///< the part of the cycle in which the rate rises
  double start_divisor = 25;   ///< the cycle starts at top / start_divisor
  double final_divisor = 1e4;  ///< and ends at its start / final_divisor
  bool cosine = true;          ///< else linear
};
/// Up to `top`, then down (Smith and Topin 2018; PyTorch's OneCycleLR with two phases).
Schedule one_cycle(double top, const OneCycleOptions& options);

/// In the first `steps` steps linear from `from` to then(0), which follows at step `steps` with its own step 0.
Schedule warm_up(int64_t steps, const Schedule& then, double from = 0);

struct Phase {
  int64_t steps;
  Schedule schedule;
};
/// One schedule after another, each from its own step 0; the last one goes on for ever.
Schedule sequence(std::vector<Phase> phases, Schedule last);

}  // namespace weft::nn::optim
