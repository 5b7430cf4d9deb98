// Ema: the exponential moving average of a module's parameters, which often generalises better than the parameters
// themselves (Polyak and Juditsky 1992).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "weft/nn/module.h"

namespace weft::nn {

struct EmaOptions {
  double decay = 0.999;  ///< weight of the old average
  /// The decay of the n-th update (from 0) is at most (1 + n) / (10 + n), so that the first values are soon forgotten.
  bool ramp = true;
};

class Ema {
 public:
  /// Starts with the present values. Keeps handles to the parameters and buffers. Throws Error on a decay outside
  /// [0, 1).
  explicit Ema(const Module& module, const EmaOptions& options = {});
  /// average = d average + (1 - d) value for parameters; buffers (running statistics) are taken over. After each step.
  void update();
  int64_t updates() const { return updates_; }

  /// Exchanges averages and values of all copies: once before an evaluation, once more after it. Training steps and
  /// update() in between throw or work on the wrong values; see Scope.
  void swap();
  bool swapped() const { return swapped_; }
  /// The module has the averages as its values while this lives.
  class Scope {
   public:
    explicit Scope(Ema& ema) : ema_(ema) { ema_.swap(); }
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Ema& ema_;
  };
  [[nodiscard]] Scope averaged() { return Scope(*this); }

  /// Averages by the names of the parameters and buffers, on the host, and the number of updates ("updates", int64).
  std::vector<std::pair<std::string, Tensor>> state() const;
  /// Throws CheckpointError listing all that is missing or has another shape; then nothing is changed.
  void load_state(const std::vector<std::pair<std::string, Tensor>>& state);

 private:
  struct Slot {
    std::string name;  // when the average was begun
    Placed value;
    Tensor average;  // where the first copy is
    bool averaged;   // else taken over
  };
  std::vector<Slot> slots_;
  EmaOptions options_;
  int64_t updates_ = 0;
  bool swapped_ = false;
};

}  // namespace weft::nn
