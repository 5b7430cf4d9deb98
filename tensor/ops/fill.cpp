#include "weft/tensor/ops/fill.h"

#include <cstring>

#include "weft/tensor/convert.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/elementwise.h"

namespace weft {

WEFT_KERNEL(FillArgs, fill_kernel);
WEFT_KERNEL(ArangeArgs, arange_kernel);

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
  fill_kernel({size_of(y.dtype()), y.numel(), element_bits(y.dtype(), value), y.raw(), geometry.pointer()},
              current_stream(y.device()));
}

void fill_(const Tensor& y, double value, const char* name) {
  check_writable(name, y);
  y.storage().bump_version(name);
  fill(y, value);
}

void arange_(const Tensor& y, double start, double step) {
  WEFT_CHECK(DtypeError, y.dtype() != DType::boolean, "arange: bool is not a number here; use another dtype");
  WEFT_CHECK(ShapeError, y.is_contiguous(), "arange: needs a row-major tensor, got strides ", y.strides());
  y.storage().bump_version("arange_");
  if (y.numel() == 0) return;
  arange_kernel({y.dtype(), y.numel(), start, step, y.raw()}, current_stream(y.device()));
}

}  // namespace ops
}  // namespace weft
