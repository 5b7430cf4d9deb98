// The two groups of dimensions of a Reduction as geometries to walk. For kernel files: internal linkage.
#pragma once

#include "weft/tensor/cpu/strided.h"
#include "weft/tensor/ops/reduce.h"

namespace weft {
namespace {

/// Dimensions of one operand, at least one of them.
WEFT_INLINE Collapsed group(int rank, const int64_t* extent, const int64_t* stride, int64_t numel) {
  Collapsed g;
  g.rank = larger(rank, 1);
  g.numel = numel;
  g.extent[0] = 1;
  for (int d = 0; d < rank; ++d) {
    g.extent[d] = extent[d];
    g.stride[0][d] = stride[d];
  }
  return g;
}
WEFT_INLINE Collapsed kept_group(const Reduction& r) {
  return group(r.kept_rank, r.kept_extent, r.kept_stride, r.kept);
}
WEFT_INLINE Collapsed reduced_group(const Reduction& r) {
  return group(r.reduced_rank, r.reduced_extent, r.reduced_stride, r.reduced);
}
/// The last kept dimension is contiguous in x: outputs can be computed side by side.
WEFT_INLINE bool has_columns(const Reduction& r) { return r.kept_rank > 0 && r.kept_stride[r.kept_rank - 1] == 1; }
/// The kept dimensions without the last.
WEFT_INLINE Collapsed outer_kept_group(const Reduction& r) {
  return group(r.kept_rank - 1, r.kept_extent, r.kept_stride, r.kept / r.kept_extent[r.kept_rank - 1]);
}

}  // namespace
}  // namespace weft
