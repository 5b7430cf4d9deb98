#include "weft/tensor/ops/random.h"

#include <cmath>

#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(UniformArgs, uniform_kernel);
WEFT_KERNEL(NormalArgs, normal_kernel);

namespace ops {
namespace {

Tensor empty_floating(const char* operation, const Shape& shape, const TensorOptions& options) {
  WEFT_CHECK(DtypeError, is_floating(options.dtype), operation, ": needs a floating dtype, got ", options.dtype,
             "; draw f32 and convert with .to(dtype)");
  return empty(shape, options);
}

}  // namespace

Tensor uniform(const Shape& shape, double low, double high, const TensorOptions& options, const RandomCall& call) {
  WEFT_CHECK(Error, low <= high && std::isfinite(high - low), "uniform: bounds ", low, " and ", high,
             " do not hold a finite interval [low, high)");
  const Tensor out = empty_floating("uniform", shape, options);
  if (out.numel() > 0) {
    profile_work(uniform_kernel, out);
    uniform_kernel({out.dtype(), out.numel(), call, low, high, out.raw()}, current_stream(out.device()));
  }
  return out;
}

Tensor normal(const Shape& shape, double mean, double deviation, const TensorOptions& options, const RandomCall& call) {
  WEFT_CHECK(Error, std::isfinite(mean) && std::isfinite(deviation) && deviation >= 0, "randn: mean ", mean,
             " and deviation ", deviation, " must be finite, the deviation not negative");
  const Tensor out = empty_floating("randn", shape, options);
  if (out.numel() > 0) {
    profile_work(normal_kernel, out);
    normal_kernel({out.dtype(), out.numel(), call, mean, deviation, out.raw()}, current_stream(out.device()));
  }
  return out;
}

}  // namespace ops
}  // namespace weft
