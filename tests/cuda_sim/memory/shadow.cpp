#include "shadow.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "region.h"

namespace weft::sim {

uint8_t* states = nullptr;
Word* words = nullptr;
Cell* cells = nullptr;

namespace {

constexpr size_t state_bytes = region_bytes;
constexpr size_t word_bytes = region_bytes / 4 * sizeof(Word);
constexpr size_t cell_bytes = region_bytes * sizeof(Cell);

void* reserve(size_t bytes) {
  void* table = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (table == MAP_FAILED) {
    std::perror("cuda simulator: reserving addresses for the shadow of the devices' memory");
    std::abort();
  }
  return table;
}

}  // namespace

void start_shadow() {
  states = static_cast<uint8_t*>(reserve(state_bytes));
  words = static_cast<Word*>(reserve(word_bytes));
  cells = static_cast<Cell*>(reserve(cell_bytes));
}

void reset_shadow() {
  madvise(states, state_bytes, MADV_DONTNEED);
  madvise(words, word_bytes, MADV_DONTNEED);
  madvise(cells, cell_bytes, MADV_DONTNEED);
}

void mark_live(size_t offset, size_t bytes, bool initialised) {
  std::memset(states + offset, initialised ? state_readable : state_live, bytes);
}

void mark_dead(size_t offset, size_t bytes) {
  std::memset(states + offset, 0, bytes);
  // Cells of earlier launches count for nothing: give large ones back.
  if (bytes >= size_t{1} << 16) {
    char* begin = reinterpret_cast<char*>(cells + (offset + 255) / 256 * 256);
    char* end = reinterpret_cast<char*>(cells + (offset + bytes) / 256 * 256);
    madvise(begin, static_cast<size_t>(end - begin), MADV_DONTNEED);
  }
}

size_t first_without(size_t offset, size_t bytes, uint8_t state) {
  const uint64_t eight = 0x0101010101010101u * state;
  const size_t end = offset + bytes;
  size_t at = offset;
  while (at < end) {
    uint64_t found;
    if (end - at >= 8 && (std::memcpy(&found, states + at, 8), (found & eight) == eight)) {
      at += 8;
    } else if ((states[at] & state) == state) {
      ++at;
    } else {
      return at;
    }
  }
  return end;
}

}  // namespace weft::sim
