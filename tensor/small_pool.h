// Small fixed blocks for tensor handles and tape nodes: thread-local free lists by size, so that making and dropping a
// small tensor costs no lock and no system call.
#pragma once

#include <cstddef>

namespace weft::detail {

inline constexpr size_t small_block_limit = 512;

/// Memory of at least `bytes`, aligned to 16. Above small_block_limit it is the global operator new.
void* small_allocate(size_t bytes);
/// `bytes` as given to small_allocate; any thread may call it.
void small_deallocate(void* block, size_t bytes) noexcept;

}  // namespace weft::detail
