// Tensors of one device at addresses that packs may or may not be loaded from, and how far results are apart.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "weft/tensor/tensor.h"

namespace weft::test {

/// The same values, dense, in memory that begins `shift` elements after an aligned address of cuda:0.
inline Tensor placed(const Tensor& host, int64_t shift) {
  const Tensor whole = zeros({host.numel() + shift}, {.dtype = host.dtype(), .device = "cuda:0"});
  Tensor part = ops::view(whole, host.shape(), host.strides(), shift);
  part.copy_(host);
  return part;
}

/// The largest |a - b| / (1 + |b|) of two elements; infinite where one is NaN and the other is not.
inline double distance(const Tensor& a, const Tensor& b) {
  const auto x = a.to("cpu").to(DType::f64).to_vector<double>(), y = b.to("cpu").to(DType::f64).to_vector<double>();
  REQUIRE(x.size() == y.size());
  double most = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double apart = x[i] == y[i] ? 0 : std::fabs(x[i] - y[i]) / (1 + std::fabs(y[i]));
    if (std::isnan(x[i]) != std::isnan(y[i])) return std::numeric_limits<double>::infinity();
    if (!std::isnan(x[i])) most = apart > most || std::isnan(apart) ? apart : most;
  }
  return most;
}

}  // namespace weft::test
