// Collapsed: how up to four operands of an elementwise kernel lie in memory. A plain struct, fit to be passed to
// kernels.
#pragma once

#include <cstdint>

#include "weft/tensor/half.h"
#include "weft/tensor/shape.h"

namespace weft {

/// Extents and strides (in elements) of up to four operands, with adjacent dimensions merged wherever all of them allow
/// and ordered so that the last dimension is the fastest of operand 0, which is the output. Unused operands have zero
/// strides.
struct Collapsed {
  int rank = 0;
  int64_t numel = 1;
  int64_t extent[max_rank] = {};
  int64_t stride[4][max_rank] = {};
};

/// Element offset of operand `k` at flat position `i` (last dimension fastest).
WEFT_INLINE int64_t offset_of(const Collapsed& geometry, int k, int64_t i) {
  int64_t offset = 0;
  for (int d = geometry.rank - 1; d >= 0; --d) {
    offset += i % geometry.extent[d] * geometry.stride[k][d];
    i /= geometry.extent[d];
  }
  return offset;
}

}  // namespace weft
