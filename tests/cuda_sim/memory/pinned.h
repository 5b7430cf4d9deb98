// Host memory that the application registered (cudaHostRegister). What cudaHostAlloc gives lies in the pinned area.
#pragma once

#include <cstddef>

namespace weft::sim {

void reset_registered();
/// False if part of the range is registered already.
bool register_host(const void* pointer, size_t bytes);
/// False if no registered range begins there.
bool unregister_host(const void* pointer);
bool is_registered(const void* pointer);

/// Pinned or registered: a copy reads it when it runs, not when it is issued.
bool is_page_locked(const void* pointer);

}  // namespace weft::sim
