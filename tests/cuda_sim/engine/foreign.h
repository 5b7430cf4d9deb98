// Accesses of kernels to memory that is neither a device's, nor shared, nor pinned, nor on the thread's own stack.
#pragma once

#include <cstddef>
#include <string>

namespace weft::sim {

/// Empty if the running thread may do it: its arguments, constants, registered memory. Else why not.
std::string foreign_fault(const void* pointer, size_t bytes, bool writes);

}  // namespace weft::sim
