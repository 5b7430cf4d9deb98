#include "weft/nn/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "weft/tensor/error.h"

namespace weft::nn::optim {

namespace {

// The part of the way gone: 0 at step 0, 1 from step `steps` - 1 on.
double part(int64_t step, int64_t steps) {
  if (steps <= 1) return step > 0 ? 1 : 0;
  return static_cast<double>(std::min(step, steps - 1)) / static_cast<double>(steps - 1);
}

void check_steps(const char* schedule, int64_t steps) {
  WEFT_CHECK(Error, steps > 0, schedule, ": ", steps, " steps; give the number of steps of the training");
}

double falling_cosine(double t) { return (1 + std::cos(std::numbers::pi * t)) / 2; }

}  // namespace

Schedule constant(double lr) {
  return Schedule::of([lr](int64_t) { return lr; });
}

Schedule linear(double lr, const DecayOptions& o) {
  check_steps("linear", o.steps);
  return Schedule::of([lr, o](int64_t step) { return o.final + (lr - o.final) * (1 - part(step, o.steps)); });
}

Schedule cosine(double lr, const DecayOptions& o) {
  check_steps("cosine", o.steps);
  return Schedule::of([lr, o](int64_t step) { return o.final + (lr - o.final) * falling_cosine(part(step, o.steps)); });
}

Schedule poly(double lr, const PolyOptions& o) {
  check_steps("poly", o.steps);
  return Schedule::of(
      [lr, o](int64_t step) { return o.final + (lr - o.final) * std::pow(1 - part(step, o.steps), o.power); });
}

Schedule step(double lr, int64_t every, double factor) {
  check_steps("step", every);
  return Schedule::of([=](int64_t step) { return lr * std::pow(factor, static_cast<double>(step / every)); });
}

Schedule multi_step(double lr, std::vector<int64_t> milestones, double factor) {
  WEFT_CHECK(Error, std::is_sorted(milestones.begin(), milestones.end()), "multi_step: the milestones do not ascend");
  return Schedule::of([lr, factor, milestones = std::move(milestones)](int64_t step) {
    const auto passed = std::upper_bound(milestones.begin(), milestones.end(), step) - milestones.begin();
    return lr * std::pow(factor, static_cast<double>(passed));
  });
}

Schedule one_cycle(double top, const OneCycleOptions& o) {
  check_steps("one_cycle", o.steps);
  WEFT_CHECK(Error, o.rising > 0 && o.rising < 1, "one_cycle: rising is ", o.rising, "; it lies between 0 and 1");
  WEFT_CHECK(Error, o.start_divisor > 0 && o.final_divisor > 0, "one_cycle: divisors ", o.start_divisor, " and ",
             o.final_divisor, " must be positive");
  const double start = top / o.start_divisor, end = start / o.final_divisor;
  const double peak = o.rising * static_cast<double>(o.steps) - 1, last = static_cast<double>(o.steps - 1);
  const bool smooth = o.cosine;
  return Schedule::of([=](int64_t step) {
    const double s = std::min(static_cast<double>(step), last);
    const auto between = [smooth](double from, double to, double t) {
      return smooth ? to + (from - to) * falling_cosine(t) : from + (to - from) * t;
    };
    if (s <= peak) return between(start, top, s / peak);
    return last > peak ? between(top, end, (s - peak) / (last - peak)) : end;
  });
}

Schedule warm_up(int64_t steps, const Schedule& then, double from) {
  WEFT_CHECK(Error, steps >= 0, "warm_up: ", steps, " steps");
  return Schedule::of([=](int64_t step) {
    if (step >= steps) return then(step - steps);
    return from + (then(0) - from) * static_cast<double>(step) / static_cast<double>(steps);
  });
}

Schedule sequence(std::vector<Phase> phases, Schedule last) {
  for (const Phase& phase : phases) WEFT_CHECK(Error, phase.steps >= 0, "sequence: a phase of ", phase.steps, " steps");
  return Schedule::of([phases = std::move(phases), last = std::move(last)](int64_t step) {
    for (const Phase& phase : phases) {
      if (step < phase.steps) return phase.schedule(step);
      step -= phase.steps;
    }
    return last(step);
  });
}

}  // namespace weft::nn::optim
