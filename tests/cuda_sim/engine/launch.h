// Launches: limits, and running the grid when the stream gets to it.
#pragma once

#include <cstddef>

namespace weft::sim {

/// Bytes of shared memory that a block of the kernel may have, static and dynamic together.
size_t shared_limit(const void* function);
void reset_launches();

}  // namespace weft::sim
