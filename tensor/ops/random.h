// uniform and normal numbers, each from (seed, call, index) alone: tensor/philox.h says how. Outputs are row-major.
#pragma once

#include "weft/tensor/kernel.h"
#include "weft/tensor/philox.h"

namespace weft {
class Tensor;
class Dims;
struct TensorOptions;

/// out_i = philox::place<T>(unit draw of element call.offset + i, low, high) in T's compute type. Floating dtypes.
struct UniformArgs {
  DType dtype;
  int64_t n;
  RandomCall call;
  double low, high;
  void* out;
};
/// Box-Muller: a block of words gives four values in f32 (the 16-bit types round them), two in f64.
///   f32: u = ((word >> 8) + 1) 2^-24, v = (word >> 8) 2^-24 from words (0, 1), then from (2, 3)
///   f64: u = ((long >> 11) + 1) 2^-53, v = (long >> 11) 2^-53 from long words 0 and 1
///   values r cos(2 pi v), then r sin(2 pi v), with r = sqrt(-2 log u);   out = mean + deviation * value
/// Element i takes value i % 4 of block i / 4 (f64: i % 2 of i / 2). The last bits may differ between devices.
struct NormalArgs {
  DType dtype;
  int64_t n;
  RandomCall call;
  double mean, deviation;
  void* out;
};
extern Kernel<UniformArgs> uniform_kernel;
extern Kernel<NormalArgs> normal_kernel;

namespace ops {
/// In [low, high), which must be finite with low < high, or equal. The same bits on every device.
Tensor uniform(const Dims& shape, double low, double high, const TensorOptions& options, const RandomCall& call);
/// Normal with finite mean and deviation >= 0.
Tensor normal(const Dims& shape, double mean, double deviation, const TensorOptions& options, const RandomCall& call);
}  // namespace ops
}  // namespace weft
