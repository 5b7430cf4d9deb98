// The checks of one access of a kernel: bounds, owner, alignment, initialisation, order between streams, data races.
#pragma once

#include <cstddef>

namespace weft::sim {

enum class Mode { read, write, atomic };

/// `bytes` is 1, 2, 4, 8 or 16, and the address must be a multiple of it. `pc`: where the kernel goes on.
template <size_t bytes>
void check_access(const void* pointer, Mode mode, const void* pc);
/// The alignment alone, for an access that the compiler may split.
void check_alignment(const void* pointer, size_t alignment, const void* pc);
/// Any number of bytes, at any address.
void check_range_access(const void* pointer, size_t bytes, Mode mode, const void* pc);

}  // namespace weft::sim
