// launch(): how every kernel is started; and what every kernel begins with.
#pragma once

#include "weft/cuda/check.h"
#include "weft/cuda/grid.h"
#include "weft/cuda/memory_lock.h"
#include "weft/cuda/platform.cuh"
#include "weft/cuda/stream.h"

namespace weft::cuda {

/// Queues a kernel on a stream, with its device current. `name` (a literal) is the operation that errors speak of.
/// Throws Error if the device refuses the launch or `grid` is outside what any device takes.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const Grid& grid, Stream stream,
            const Arguments&... arguments) {
  static_assert((sizeof(Parameters) + ... + size_t{0}) <= most_parameter_bytes,
                "a kernel's parameters have no more room");
  check_grid(name, grid);
  const DeviceScope scope(stream.device.index);
  note_operation(stream.device.index, name);
  const MemoryScope memory(stream.device.index);  // it may have to be loaded
  check(launch_kernel(name, kernel, dim3(static_cast<unsigned>(grid.blocks)), dim3(static_cast<unsigned>(grid.threads)),
                      grid.shared_bytes, native(stream), arguments...),
        name);
}

// Grid-stride loops: `for (int64_t i = thread_in_grid(); i < n; i += threads_in_grid())`.
__device__ inline int64_t thread_in_grid() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t threads_in_grid() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

template <class T>
__device__ inline T smaller(T a, T b) {
  return b < a ? b : a;
}

/// Says that the operand at flat `position` is bad: the smallest position is thrown at the next synchronisation.
__device__ inline void mark_error(const ErrorMark& mark, int64_t position) {
  atomic_min(mark.word, mark.tag | static_cast<uint64_t>(position));
}

}  // namespace weft::cuda
