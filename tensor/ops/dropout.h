// dropout with a given mask: y_i = x_i * scale where the draw of element i says keep, else 0. Linear in x and its own
// gradient; the mask is drawn again each time, never stored.
#pragma once

#include "weft/tensor/kernel.h"
#include "weft/tensor/philox.h"

namespace weft {
class Tensor;

/// x and y are dense with the same strides. Element k in memory has coordinates (a_0, …, a_rank-1), the last fastest, and
/// index call.offset + sum_d a_d index_stride[d], its row-major place in the whole batch. Kept if word_of(index) >= threshold.
struct DropoutArgs {
  DType dtype;
  int64_t numel;
  int rank;                  ///< after merging: 1 for row-major data, 3 for channels-last
  int64_t extent[8];
  int64_t index_stride[8];
  RandomCall call;
  uint64_t threshold;        ///< round(p * 2^32), in [0, 2^32]
  double scale;              ///< 1 / (1 - p), 0 for p = 1
  const void* x;
  void* y;
};
extern Kernel<DropoutArgs> dropout_kernel;

namespace ops {
/// Floating dtypes, p in [0, 1]. The mask depends on logical positions and `call` alone, not on layout or device.
Tensor dropout(const Tensor& x, double p, const RandomCall& call);
}  // namespace ops
}  // namespace weft
