// Initial values of parameters. All draw from the generator of the calling thread, on the CPU, so that a seed gives the
// same values wherever the module goes.
#pragma once

#include "weft/nn/parameter.h"

namespace weft::nn::init {

/// fan_in counts the inputs of one output, fan_out the outputs that one input reaches; weights are [out, in, kernel…].
struct Fans {
  double in = 1, out = 1;
};
Fans fans_of(const Shape& weight);

Tensor constant(const Shape& shape, double value);
Tensor uniform(const Shape& shape, double low, double high);
Tensor normal(const Shape& shape, double mean, double deviation);
/// Uniform in +-gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
Tensor xavier_uniform(const Shape& weight, double gain = 1);
/// Normal with deviation gain * sqrt(2 / (fan_in + fan_out)).
Tensor xavier_normal(const Shape& weight, double gain = 1);
enum class Fan : uint8_t { in, out };
/// Uniform in +-gain * sqrt(3 / fan) (He et al. 2015); gain sqrt(2) fits ReLU.
Tensor kaiming_uniform(const Shape& weight, Fan fan = Fan::in, double gain = 1.4142135623730951);
/// Normal with deviation gain / sqrt(fan).
Tensor kaiming_normal(const Shape& weight, Fan fan = Fan::in, double gain = 1.4142135623730951);
/// [rows, columns…] seen as a matrix: its rows, or its columns if there are fewer of them, are orthogonal and of length
/// `gain`, with every direction equally likely (Saxe et al. 2014). ShapeError below rank 2.
Tensor orthogonal(const Shape& weight, double gain = 1);

}  // namespace weft::nn::init
