#include "weft/tensor/ops/fill.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "weft/tensor/convert.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/elementwise.h"
#include "weft/tensor/ops/work.h"

namespace weft {

WEFT_KERNEL(FillArgs, fill_kernel);
WEFT_KERNEL(ArangeArgs, arange_kernel);
WEFT_KERNEL(LinspaceArgs, linspace_kernel);

namespace ops {

uint64_t element_bits(DType dtype, double value) {
  uint64_t bits = 0;
  dispatch_all(dtype, [&](auto tag) {
    const auto element = convert<typename decltype(tag)::type>(value);
    std::memcpy(&bits, &element, sizeof element);
  });
  return bits;
}

void fill(const Tensor& y, double value) {
  if (y.numel() == 0) return;
  const Strides strides[] = {y.strides()};
  const Geometry geometry(y.shape(), strides);
  profile_work(fill_kernel, y);
  fill_kernel({size_of(y.dtype()), y.numel(), element_bits(y.dtype(), value), y.raw(), geometry.pointer()},
              current_stream(y.device()));
}

void fill_(const Tensor& y, double value, const char* name) {
  check_writable(name, y);
  y.storage().bump_version(name);
  fill(y, value);
}

Tensor arange(double start, double stop, double step, const TensorOptions& options) {
  WEFT_CHECK(Error, step != 0 && std::isfinite(step) && std::isfinite(start) && std::isfinite(stop), "arange: from ",
             start, " to ", stop, " by ", step, "; the step must not be 0, and all three must be finite");
  WEFT_CHECK(DtypeError, options.dtype != DType::boolean, "arange: bool does not count; use another dtype");
  const double count = std::max(0.0, std::ceil((stop - start) / step));
  WEFT_CHECK(ShapeError, count <= 0x1p62, "arange: more than 2^62 elements from ", start, " to ", stop, " by ", step);
  Tensor y = empty({static_cast<int64_t>(count)}, options);
  if (y.numel() > 0) arange_kernel({options.dtype, y.numel(), start, step, y.raw()}, current_stream(y.device()));
  return y;
}

Tensor linspace(double start, double stop, int64_t count, const TensorOptions& options) {
  WEFT_CHECK(Error, std::isfinite(start) && std::isfinite(stop) && count >= 0, "linspace: ", count, " numbers from ",
             start, " to ", stop, "; bounds must be finite, the count not negative");
  WEFT_CHECK(DtypeError, is_floating(options.dtype), "linspace: needs a floating dtype, got ", options.dtype,
             "; convert with .to(dtype)");
  Tensor y = empty({count}, options);
  const double step = count > 1 ? stop / static_cast<double>(count - 1) - start / static_cast<double>(count - 1) : 0;
  if (count > 0) linspace_kernel({options.dtype, count, start, stop, step, y.raw()}, current_stream(y.device()));
  return y;
}

}  // namespace ops
}  // namespace weft
