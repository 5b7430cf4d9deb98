#include "foreign.h"

#include <cstdio>

#include "../memory/pinned.h"
#include "kernel.h"

namespace weft::sim {
namespace {

// The pages that /proc/self/maps shows around an address, if they are readable and not writable: constants.
struct Constants {
  const char* begin = nullptr;
  const char* end = nullptr;
} known;

bool is_constant(const char* pointer) {
  if (pointer >= known.begin && pointer < known.end) return true;
  FILE* maps = std::fopen("/proc/self/maps", "r");
  if (!maps) return false;
  bool found = false;
  char line[512];
  while (!found && std::fgets(line, sizeof line, maps)) {
    void *begin, *end;
    char rights[8];
    if (std::sscanf(line, "%p-%p %7s", &begin, &end, rights) != 3) continue;
    found = pointer >= begin && pointer < end && rights[0] == 'r' && rights[1] == '-';
    if (found) known = {static_cast<const char*>(begin), static_cast<const char*>(end)};
  }
  std::fclose(maps);
  return found;
}

bool is_argument(const char* pointer, size_t bytes) {
  const char* begin = static_cast<const char*>(kernel.call->arguments.get());
  return pointer >= begin && pointer + bytes <= begin + kernel.call->argument_bytes;
}

}  // namespace

std::string foreign_fault(const void* address, size_t bytes, bool writes) {
  const char* pointer = static_cast<const char*>(address);
  if (is_registered(pointer)) return "";
  if (on_any_stack(pointer)) return ", a variable of another thread";
  if (reinterpret_cast<size_t>(pointer) < 4096) return ", a null pointer";
  if (is_argument(pointer, bytes)) return writes ? ", an argument of the kernel" : "";
  if (!writes && is_constant(pointer)) return "";
  return ", which a kernel cannot reach; copy it to the device first";
}

}  // namespace weft::sim
