// Data races inside one launch. An access is remembered per byte as an Entry; two accesses of different threads, at
// least one of them a plain write, race unless a barrier (same block) or a warp operation (same warp) lies between
// them.
#pragma once

#include "../memory/shadow.h"
#include "kernel.h"

namespace weft::sim {

// Entry::who, from the lowest bit: thread 10, spread 2, atomic 1, clock 19.
enum class Spread : uint32_t {
  thread,
  warp,
  block,
  grid
};  // whom an entry stands for: its thread, or several of its …
inline constexpr uint32_t atomic_bit = 1u << 12;

inline uint32_t pack(unsigned thread, Spread spread, bool atomic, uint32_t clock) {
  return thread | static_cast<uint32_t>(spread) << 10 | (atomic ? atomic_bit : 0) | clock << 13;
}
inline unsigned thread_of(const Entry& entry) { return entry.who & 1023; }
inline Spread spread_of(const Entry& entry) { return static_cast<Spread>(entry.who >> 10 & 3); }
inline bool is_atomic(const Entry& entry) { return (entry.who & atomic_bit) != 0; }
inline uint32_t clock_of(const Entry& entry) { return entry.who >> 13; }
inline bool same_warp(unsigned a, unsigned b) { return a / lanes_per_warp == b / lanes_per_warp; }

inline Entry own_entry(bool atomic) {
  return {kernel.stamp, pack(kernel.number, Spread::thread, atomic, kernel.thread->clock)};
}

/// Whether the running thread and the access remembered have no order. Entries older than `oldest` are of other
/// launches (or, in shared memory, of other blocks).
inline bool unordered(const Entry& entry, uint32_t oldest) {
  if (entry.stamp < oldest) return false;
  if (entry.stamp != kernel.stamp) return true;
  const Spread spread = spread_of(entry);
  if (spread == Spread::grid) return true;
  const unsigned thread = thread_of(entry);
  if (spread == Spread::thread && thread == kernel.number) return false;
  if (spread != Spread::block && same_warp(thread, kernel.number)) return clock_of(entry) >= kernel.thread->clock;
  return clock_of(entry) >= kernel.barrier_clock;
}

/// An entry for an access of the running thread and the unordered one remembered: both read, or both are atomic.
inline Entry widened(const Entry& entry, bool atomic) {
  Spread spread = spread_of(entry);
  if (entry.stamp != kernel.stamp) {
    spread = Spread::grid;
  } else if (spread < Spread::block) {
    spread = same_warp(thread_of(entry), kernel.number) ? Spread::warp : Spread::block;
  }
  const uint32_t clock = clock_of(entry) > kernel.thread->clock ? clock_of(entry) : kernel.thread->clock;
  return {kernel.stamp, pack(kernel.number, spread, atomic, clock)};
}

}  // namespace weft::sim
