#include "weft/cuda/grid.h"

#include <algorithm>

#include "weft/cuda/stream.h"
#include "weft/tensor/error.h"

namespace weft::cuda {

void check_grid(const char* name, const Grid& grid) {
  WEFT_CHECK(Error, grid.blocks >= 1 && grid.blocks <= max_blocks, name, ": a grid of ", grid.blocks, " blocks; 1 to ",
             max_blocks, " can be launched");
  WEFT_CHECK(Error, grid.threads >= 32 && grid.threads <= 1024 && grid.threads % 32 == 0, name, ": blocks of ",
             grid.threads, " threads; they must be a multiple of 32 up to 1024");
  WEFT_CHECK(Error, grid.shared_bytes <= max_shared_bytes, name, ": ", grid.shared_bytes,
             " bytes of shared memory; a block has ", max_shared_bytes);
}

Grid grid_for(int64_t items, Stream stream, int threads) {
  // 2048 threads of a multiprocessor at once, eight times over: the last wave is short, and loops stay rare.
  const int64_t most = static_cast<int64_t>(multiprocessors(stream.device.index)) * (2048 / threads) * 8;
  return {.blocks = std::clamp<int64_t>((items + threads - 1) / threads, 1, most), .threads = threads};
}

Grid grid_for_warps(int64_t items, Stream stream, int threads) {
  const int64_t warps = threads / 32;
  const int64_t most = static_cast<int64_t>(multiprocessors(stream.device.index)) * (2048 / threads) * 8;
  return {.blocks = std::clamp<int64_t>((items + warps - 1) / warps, 1, most), .threads = threads};
}

}  // namespace weft::cuda
