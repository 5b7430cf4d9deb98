// What is known about every byte of the region: live, initialised, who touched it last. Three tables as long as the
// region, of which the kernel commits only pages in use:
//   states  per byte    live and initialised, for bounds and uninitialised reads
//   words   per 4 bytes the operations that wrote and read last, for order between streams
//   cells   per byte    the threads that wrote and read last in the running launch, for data races
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft::sim {

inline constexpr uint8_t state_live = 1;
inline constexpr uint8_t state_initialised = 2;
inline constexpr uint8_t state_readable = state_live | state_initialised;

/// Numbers of operations (0: none). A reader with the top bit set is a set of readers that have no order between them.
struct Word {
  uint32_t writer;
  uint32_t reader;
};

/// One access: the block's stamp (grows with every block that runs) and, packed, the thread, how many threads the entry
/// stands for, whether it was atomic, and the clock of the warp at that time.
struct Entry {
  uint32_t stamp;
  uint32_t who;
};
struct Cell {
  Entry write;
  Entry read;
};

extern uint8_t* states;
extern Word* words;
extern Cell* cells;

void start_shadow();
void reset_shadow();

/// Live and not initialised, or initialised; `bytes` that were live before lose what was known of them.
void mark_live(size_t offset, size_t bytes, bool initialised);
void mark_dead(size_t offset, size_t bytes);
/// Whether all bytes have the bits of `state`; quick where `bytes` is known and small.
inline bool all_have(size_t offset, size_t bytes, uint8_t state) {
  uint8_t all = state;
  for (size_t i = 0; i < bytes; ++i) all &= states[offset + i];
  return all == state;
}
/// Offset of the first byte of the range that lacks one of the bits of `state`; offset + bytes if there is none.
size_t first_without(size_t offset, size_t bytes, uint8_t state);

}  // namespace weft::sim
