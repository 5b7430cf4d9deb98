// Shared memory of the block that runs: dynamic first, then each variable as a thread first reaches its declaration,
// with red zones between; uninitialised at the start of every block.
#include <cstring>

#include "../memory/region.h"
#include "../memory/shadow.h"
#include "../runtime/device.h"
#include "kernel.h"
#include "launch.h"

namespace weft::sim {
namespace {

constexpr size_t red_zone = 64;
constexpr size_t dynamic_offset = 1024;

struct Variable {
  const char* function;
  Site site;
  size_t bytes;
  size_t offset;
};
std::vector<Variable> variables;
size_t next_offset = dynamic_offset;
size_t static_bytes = 0;

void make_live(size_t offset, size_t bytes) {
  mark_live(offset, bytes, false);
  poison(offset, bytes);
}

bool fits(size_t bytes) {
  static_bytes += bytes;
  const size_t total = static_bytes + kernel.call->shared_bytes;
  const size_t allowed = shared_limit(kernel.call->function);
  if (static_bytes <= limits.shared && total <= allowed) return true;
  stop_kernel(cudaErrorLaunchFailure,
              "shared memory: " + kernel_name() + " declares " + std::to_string(static_bytes) + " bytes beside " +
                  std::to_string(kernel.call->shared_bytes) + " dynamic ones; " + std::to_string(limits.shared) +
                  " may be declared, and the launch may have " + std::to_string(allowed) + " in all");
  return false;
}

}  // namespace

void begin_shared() {
  variables.clear();
  static_bytes = 0;
  next_offset = dynamic_offset;
  const size_t bytes = kernel.call->shared_bytes;
  if (bytes == 0) return;
  make_live(dynamic_offset, bytes);
  next_offset += bytes + red_zone;
}

void end_shared() { mark_dead(dynamic_offset, next_offset - dynamic_offset); }

void* dynamic_shared(size_t alignment) {
  if (alignment > 16) {
    stop_kernel(cudaErrorMisalignedAddress, "shared memory: " + kernel_name() +
                                                " wants dynamic shared memory aligned to " + std::to_string(alignment) +
                                                " bytes; it is aligned to 16");
    abandon_thread();
  }
  return region_pointer(dynamic_offset);
}

void* shared_variable(size_t bytes, size_t alignment, const char* function, Site site) {
  for (const Variable& variable : variables) {
    if (variable.site.line == site.line && variable.function == function && variable.bytes == bytes) {
      return region_pointer(variable.offset);
    }
  }
  if (!fits(bytes)) abandon_thread();
  const size_t offset = (next_offset + alignment - 1) / alignment * alignment;
  next_offset = offset + bytes + red_zone;
  variables.push_back({function, site, bytes, offset});
  make_live(offset, bytes);
  return region_pointer(offset);
}

}  // namespace weft::sim
