// Grid: how many blocks of how many threads a kernel runs in.
#pragma once

#include <cstddef>
#include <cstdint>

#include "weft/tensor/device.h"

namespace weft::cuda {

struct Grid {
  int64_t blocks = 1;
  int threads = 256;  ///< a multiple of 32, at most 1024
  size_t shared_bytes = 0;
};

inline constexpr int64_t max_blocks = (int64_t{1} << 31) - 1;
/// Dynamic shared memory that every device grants without being asked for more.
inline constexpr size_t max_shared_bytes = 48 * 1024;

/// Throws Error `softmax: a grid of 0 blocks …` unless the grid can be launched on any device.
void check_grid(const char* name, const Grid& grid);

/// For a grid-stride loop over `items`: a thread each, but no more blocks than the device runs in a few waves.
Grid grid_for(int64_t items, Stream stream, int threads = 256);
/// The same for items that a whole warp works on.
Grid grid_for_warps(int64_t items, Stream stream, int threads = 256);

}  // namespace weft::cuda
