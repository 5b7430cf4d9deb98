// Checks of whole ranges, for operations that are not kernels: copies, fills, libraries.
#pragma once

#include <cstddef>

#include "../sim.h"

namespace weft::sim {

/// `running` touches the range, which must be live, owned by `device`, initialised if `initialised` asks for it, and in
/// order with every other operation on it. Reports otherwise; false if the bytes must not be touched, and the device of
/// the operation is lost then, as after an illegal address on hardware. Pageable host memory is refused.
bool touch(const void* pointer, size_t bytes, Access access, bool initialised, const char* who, int device);

}  // namespace weft::sim
