#include "weft/tensor/random.h"

#include <atomic>

#include "weft/tensor/ops/random.h"

namespace weft {
namespace {

std::atomic<uint64_t> first_seed{0};  // of threads that start later

}  // namespace

Generator& default_generator() {
  thread_local Generator generator(first_seed.load(std::memory_order_relaxed));
  return generator;
}

void seed(uint64_t seed) {
  first_seed.store(seed, std::memory_order_relaxed);
  const int64_t first_sample = default_generator().first_sample();
  default_generator() = Generator(seed);
  default_generator().set_first_sample(first_sample);
}

Tensor uniform(const Shape& shape, double low, double high, const TensorOptions& options) {
  return ops::uniform(shape, low, high, options, default_generator().next(shape));
}

Tensor randn(const Shape& shape, const TensorOptions& options, double mean, double deviation) {
  return ops::normal(shape, mean, deviation, options, default_generator().next(shape));
}

}  // namespace weft
