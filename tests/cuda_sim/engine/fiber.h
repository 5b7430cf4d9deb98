// Fibers: the threads of a simulated block, all on one thread of the operating system. A switch is a dozen
// instructions, about fifty times faster than swapcontext().
#pragma once

#include <cstddef>

namespace weft::sim {

inline constexpr size_t stack_bytes = size_t{256} << 10;  // of addresses; pages are committed as they are touched

struct Fiber {
  void* stack_pointer = nullptr;
  char* stack = nullptr;  // lowest address; a guard page lies below
};

/// Gives the fiber a stack on which `entry`, which must not return, runs at the first resume().
void start(Fiber& fiber, void (*entry)());
/// From the scheduler: runs the fiber until it suspends.
void resume(Fiber& fiber);
/// From the fiber: back to resume().
void suspend(Fiber& fiber);
/// The fiber has done its work: the next one may have its stack, which is still in the cache.
void recycle(Fiber& fiber);
/// Takes all stacks back, also from fibers that will never be resumed.
void recycle_all();

/// Whether the address lies on the fiber's stack, or on any.
inline bool on_stack(const Fiber& fiber, const void* pointer) {
  return pointer >= fiber.stack && pointer < fiber.stack + stack_bytes;
}
bool on_any_stack(const void* pointer);

}  // namespace weft::sim
