// Which operation happens before which, by vector clocks over streams and the host, and whether two that touch the same
// bytes are ordered at all: this finds a missing event or a block reused too early even when the schedule was kind.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../memory/region.h"
#include "../memory/shadow.h"

namespace weft::sim {

/// Per line of time (slot 0: the host, all its threads together; then one per stream), how many of its operations are
/// known to have ended.
using Clock = std::vector<uint32_t>;
inline constexpr uint32_t host_slot = 0;

void join(Clock& into, const Clock& from);
/// Whether the operation number `count` of line `slot` is known.
bool knows(const Clock& clock, uint32_t slot, uint32_t count);

struct OperationInfo {
  const std::string* name = nullptr;  // interned
  const void* kernel = nullptr;       // instead of a name
  int device = 0;
  int stream = -1;  // its number on the device; -1 for the host
  uint32_t slot = 0;
  uint32_t count = 0;
  uint32_t ran = 0;  // counts operations in the order in which they ran; 0: not yet
  bool allocates = false;
};

const std::string* intern(const std::string& name);
/// Numbers the operation, from 1.
uint32_t add_operation(const OperationInfo& info);
/// "relu_kernel on stream 2 of cuda:0"
std::string operation_name(uint32_t operation);
void operation_has_run(uint32_t operation);
/// How many operations have run, and whether one that ran later than that wrote into the range.
uint32_t runs_so_far();
bool written_since(uint32_t runs, size_t offset, size_t bytes);
void reset_order();

/// The operation that runs now; number 0 if none does.
struct Running {
  uint32_t number = 0;
  const Clock* clock = nullptr;
  int device = -1;
};
extern Running running;

/// For the words of a range that `running` touches. `verb` replaces "reads" or "writes" in the report.
void order_read(size_t offset, size_t bytes);
void order_write(size_t offset, size_t bytes, const char* verb = "writes");

/// ", made by relu" and, if another operation wrote the word at `offset` since, ", last written by add_one"; nothing
/// without a maker.
std::string makers_suffix(uint32_t maker, size_t offset);

// For accesses of kernels, which mostly touch a word again.
void order_read_slow(size_t word);
void order_write_slow(size_t word, const char* verb);
inline void order_read_word(size_t word) {
  if (words[word].reader != running.number) order_read_slow(word);
}
inline void order_write_word(size_t word, const char* verb = "writes") {
  const Word& known = words[word];
  if (known.writer != running.number || (known.reader != 0 && known.reader != running.number)) {
    order_write_slow(word, verb);
  }
}

}  // namespace weft::sim
