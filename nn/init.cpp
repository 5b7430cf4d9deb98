#include "weft/nn/init.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

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

// Gram-Schmidt on the host, in double, each vector cleaned twice ("twice is enough", Giraud et al. 2005). Its
// triangular factor has a positive diagonal, so nothing prefers a sign.
Tensor orthogonal(const Shape& weight, double gain) {
  WEFT_CHECK(ShapeError, weight.rank() >= 2, "orthogonal: a weight of shape ", weight, "; it needs rows and columns");
  const int64_t rows = weight[0], columns = rows ? numel_of(weight) / rows : 0;
  const int64_t count = std::min(rows, columns), length = std::max(rows, columns);
  std::vector<double> v = init::normal({count, length}, 0, 1).to_vector<double>();
  const auto vector = [&](int64_t i) {
    return std::span(v).subspan(static_cast<size_t>(i * length), static_cast<size_t>(length));
  };
  const auto dot = [](std::span<const double> a, std::span<const double> b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  };
  for (int64_t i = 0; i < count; ++i) {
    const auto own = vector(i);
    for (int round = 0; round < 2; ++round)
      for (int64_t j = 0; j < i; ++j) {
        const double part = dot(own, vector(j));
        for (size_t k = 0; k < own.size(); ++k) own[k] -= part * vector(j)[k];
      }
    const double scale = 1 / std::sqrt(dot(own, own));
    for (double& x : own) x *= scale;
  }
  std::vector<float> values;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      values.push_back(static_cast<float>(
          gain * (rows <= columns ? vector(r)[static_cast<size_t>(c)] : vector(c)[static_cast<size_t>(r)])));
  return tensor(values, weight, Device());
}

}  // namespace weft::nn::init
