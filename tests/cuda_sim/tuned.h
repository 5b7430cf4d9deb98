// For tests of tuning: how long the simulated engines take, and how often they ran.
#pragma once

#include <cstdint>

#include "tests/cuda_sim/fake_cudnn.h"
#include "tests/cuda_sim/sim.h"
#include "weft/tensor/tuning.h"

namespace weft::test {

using sim::dnn::Engine;

inline constexpr int timed_runs = 13;  // of each plan: one to begin with, three times four

// Two plans of a strict f32 convolution are admitted: exact, then naive.
struct Tuned {
  explicit Tuned(double exact = 0.1, double naive = 0.2, int plans = 4) {
    set_timed_plans(plans);
    sim::dnn::set_engine_seconds(Engine::exact, exact);
    sim::dnn::set_engine_seconds(Engine::naive, naive);
    sim::clear_faults();
  }
  ~Tuned() {
    set_timed_plans(1);
    for (const Engine engine : {Engine::exact, Engine::naive}) sim::dnn::set_engine_seconds(engine, 0);
    sim::clear_faults();
  }
};

// How often each engine ran since the last time.
struct Runs {
  int64_t exact, naive;
  friend bool operator==(const Runs&, const Runs&) = default;
};
inline Runs taken() {
  static Runs before{0, 0};
  sim::run_all();
  const Runs now{sim::dnn::executions(Engine::exact), sim::dnn::executions(Engine::naive)};
  const Runs since{now.exact - before.exact, now.naive - before.naive};
  before = now;
  return since;
}

}  // namespace weft::test
