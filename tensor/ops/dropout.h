// dropout with a given mask: y_i = x_i * scale where the draw of element i says keep, else 0. Linear in x and its own
// gradient; the mask is drawn again each time, never stored.
#pragma once

#include "weft/tensor/collapsed.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/philox.h"

namespace weft {
class Tensor;

/// x and y are dense with the same strides: element k in memory has the row-major place offset_of(geometry, 1, k), its
/// index is call.offset + that place, and it is kept if philox::word_of(call, index) >= threshold. numel > 0.
struct DropoutArgs {
  DType dtype;
  Collapsed geometry;  ///< operands 0: x and y (dense, so offset k is position k), 1: row-major places
  RandomCall call;
  uint64_t threshold;  ///< round(p * 2^32), in [0, 2^32]
  double scale;        ///< 1 / (1 - p), 0 for p = 1
  const void* x;
  void* y;
};
extern Kernel<DropoutArgs> dropout_kernel;

namespace ops {
/// Floating dtypes, p in [0, 1]. The mask depends on logical positions and `call` alone, not on layout or device.
Tensor dropout(const Tensor& x, double p, const RandomCall& call);
}  // namespace ops
}  // namespace weft
