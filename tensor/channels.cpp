#include "weft/tensor/channels.h"

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"

namespace weft::ops {

Tensor channel_vector(const char* operation, const char* name, const Tensor& v, const Tensor& x, double missing) {
  const int64_t channels = x.shape()[1];
  const DType dtype = compute_dtype(x.dtype());
  if (!v.defined()) return full({channels}, missing, {.dtype = dtype, .device = x.device()});
  check_same_device(operation, x, v);
  WEFT_CHECK(ShapeError, v.shape() == Shape{channels}, operation, ": ", name, " has shape ", v.shape(), ", the input ",
             x.shape(), " has ", channels, " channels");
  WEFT_CHECK(DtypeError, v.dtype() == dtype || v.dtype() == x.dtype(), operation, ": ", name, " is ", v.dtype(),
             " for an input of ", x.dtype(), "; convert it with .to(", dtype, ")");
  return contiguous(cast(v, dtype));
}

Tensor empty_channels_last(const Tensor& x) {
  return empty(x.shape(), {.dtype = x.dtype(), .device = x.device()}, Layout::channels_last);
}

Tensor empty_image(const Tensor& x, int64_t h, int64_t w) {
  return empty({x.shape()[0], x.shape()[1], h, w}, {.dtype = x.dtype(), .device = x.device()}, Layout::channels_last);
}

}  // namespace weft::ops
