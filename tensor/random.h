// Random numbers: counter-based Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
// Element i of call c is a pure function of (seed, c, i): the same on every device and however a batch is split.
#pragma once

#include <cstdint>

#include "weft/tensor/philox.h"
#include "weft/tensor/tensor.h"

namespace weft {

/// Seed and call counter. A plain value; the one of a thread is changed by GeneratorGuard.
class Generator {
 public:
  explicit Generator(uint64_t seed = 0) : seed_(seed) {}
  uint64_t seed() const { return seed_; }
  uint64_t calls() const { return calls_; }
  void set_calls(uint64_t calls) { calls_ = calls; }
  int64_t first_sample() const { return first_sample_; }
  /// Index, in the whole batch, of the first sample of the share this generator serves.
  void set_first_sample(int64_t sample) { first_sample_ = sample; }
  /// The next call, for a tensor of `shape` whose axis 0 counts the samples of the share.
  RandomCall next(const Shape& shape) {
    const int64_t samples = shape.empty() ? 1 : shape[0];
    return {seed_, calls_++, samples > 0 ? first_sample_ * (numel_of(shape) / samples) : 0};
  }

 private:
  uint64_t seed_;
  uint64_t calls_ = 0;
  int64_t first_sample_ = 0;
};

/// The generator of this thread.
Generator& default_generator();
/// Gives this thread another generator until the end of the scope.
class GeneratorGuard {
 public:
  explicit GeneratorGuard(const Generator& generator) : previous_(default_generator()) {
    default_generator() = generator;
  }
  ~GeneratorGuard() { default_generator() = previous_; }
  GeneratorGuard(const GeneratorGuard&) = delete;
  GeneratorGuard& operator=(const GeneratorGuard&) = delete;

 private:
  Generator previous_;
};
/// Restarts the generator of this thread, and those of threads started later, at call 0 of `seed`.
void seed(uint64_t seed);

/// Uniform in [low, high); floating dtypes.
Tensor uniform(const Shape& shape, double low = 0, double high = 1, const TensorOptions& options = {});
/// Normal with the given mean and standard deviation (Box-Muller on two uniforms).
Tensor randn(const Shape& shape, const TensorOptions& options = {}, double mean = 0, double deviation = 1);

}  // namespace weft
