#include "weft/nn/init.h"

#include <cmath>

#include "weft/tensor/random.h"

namespace weft::nn::init {

namespace {

TensorOptions on_host() { return {.dtype = DType::f32, .device = Device()}; }

double fan_of(const Shape& weight, Fan fan) { return fan == Fan::in ? fans_of(weight).in : fans_of(weight).out; }

}  // namespace

Fans fans_of(const Shape& weight) {
  WEFT_CHECK(ShapeError, weight.rank() >= 2, "init: a weight of shape ", weight, " has no fans; it needs [out, in, …]");
  double field = 1;
  for (int i = 2; i < weight.rank(); ++i) field *= static_cast<double>(weight[i]);
  return {static_cast<double>(weight[1]) * field, static_cast<double>(weight[0]) * field};
}

Tensor constant(const Shape& shape, double value) { return full(shape, value, on_host()); }
Tensor uniform(const Shape& shape, double low, double high) { return weft::uniform(shape, low, high, on_host()); }
Tensor normal(const Shape& shape, double mean, double deviation) { return randn(shape, on_host(), mean, deviation); }

Tensor xavier_uniform(const Shape& weight, double gain) {
  const Fans fans = fans_of(weight);
  const double bound = gain * std::sqrt(6 / (fans.in + fans.out));
  return init::uniform(weight, -bound, bound);
}

Tensor xavier_normal(const Shape& weight, double gain) {
  const Fans fans = fans_of(weight);
  return init::normal(weight, 0, gain * std::sqrt(2 / (fans.in + fans.out)));
}

Tensor kaiming_uniform(const Shape& weight, Fan fan, double gain) {
  const double bound = gain * std::sqrt(3 / fan_of(weight, fan));
  return init::uniform(weight, -bound, bound);
}

Tensor kaiming_normal(const Shape& weight, Fan fan, double gain) {
  return init::normal(weight, 0, gain / std::sqrt(fan_of(weight, fan)));
}

}  // namespace weft::nn::init
