// Values that both sides compute instead of storing them: element i of `name` is a hash of both. formula.py has the
// same in Python.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "weft/tensor/tensor.h"

namespace weft::test {

/// 32 bits per element: FNV-1a of the name, plus i times the golden ratio, mixed (Wellons' lowbias32).
inline std::vector<uint32_t> formula_bits(const std::string& name, int64_t count) {
  uint32_t start = 2166136261u;
  for (const char c : name) start = (start ^ static_cast<uint8_t>(c)) * 16777619u;
  std::vector<uint32_t> all(static_cast<size_t>(count));
  for (uint32_t& x : all) {
    x = start;
    start += 0x9E3779B9u;
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x *= 0x846CA68Bu;
    x ^= x >> 16;
  }
  return all;
}

/// scale * u + shift in f32, u in [-1, 1).
inline Tensor formula_values(const std::string& name, const Shape& shape, double scale = 1, double shift = 0) {
  std::vector<float> values;
  values.reserve(static_cast<size_t>(numel_of(shape)));
  for (const uint32_t bits : formula_bits(name, numel_of(shape)))
    values.push_back(static_cast<float>(shift + scale * (static_cast<double>(bits >> 8) / (1 << 23) - 1)));
  return tensor(values, shape);
}

/// A parameter or buffer of a net, as formula.py's state().
inline Tensor formula_state(const std::string& name, const Shape& shape) {
  if (shape.rank() == 4)
    return formula_values(name, shape, std::sqrt(6.0 / static_cast<double>(numel_of(shape) / shape[0])));
  if (name.ends_with("running_mean")) return formula_values(name, shape, 0.1);
  if (name.ends_with("running_var")) return formula_values(name, shape, 0.5, 1);
  if (name.ends_with("bn3.weight")) return formula_values(name, shape, 0.06, 0.2);
  if (name.ends_with("weight")) return formula_values(name, shape, 0.1, 0.4);
  return formula_values(name, shape, 0.2, 0.8);
}

}  // namespace weft::test
