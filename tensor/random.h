// Random numbers: counter-based Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
// Element i of call c is a pure function of (seed, c, i): the same on every device and however a batch is split.
#pragma once

#include <cstdint>

#include "weft/tensor/tensor.h"

namespace weft {

/// A position in the random stream: what one call of a random operation consumes.
struct RandomCall {
  uint64_t seed = 0;
  uint64_t call = 0;
  int64_t offset = 0;  ///< index of this tensor's first element in the whole batch
};

/// Seed and call counter. A plain value; the one of a thread is changed by GeneratorGuard.
class Generator {
 public:
  explicit Generator(uint64_t seed = 0) : seed_(seed) {}
  uint64_t seed() const { return seed_; }
  uint64_t calls() const { return calls_; }
  void set_calls(uint64_t calls) { calls_ = calls; }
  int64_t offset() const { return offset_; }
  /// Flat index, in the whole batch, of the first element of the share this generator serves.
  void set_offset(int64_t offset) { offset_ = offset; }
  RandomCall next() { return {seed_, calls_++, offset_}; }

 private:
  uint64_t seed_;
  uint64_t calls_ = 0;
  int64_t offset_ = 0;
};

/// The generator of this thread.
Generator& default_generator();
/// Restarts the generator of this thread, and those of threads started later, at call 0 of `seed`.
void seed(uint64_t seed);

/// Uniform in [low, high); floating dtypes.
Tensor uniform(const Shape& shape, double low = 0, double high = 1, const TensorOptions& options = {});
/// Normal with the given mean and standard deviation (Box-Muller on two uniforms).
Tensor randn(const Shape& shape, const TensorOptions& options = {}, double mean = 0, double deviation = 1);

}  // namespace weft
