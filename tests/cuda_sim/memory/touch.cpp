#include "touch.h"

#include <cstring>

#include "../lock.h"
#include "../reports.h"
#include "../runtime/status.h"
#include "../streams/order.h"
#include "allocations.h"
#include "pinned.h"
#include "shadow.h"

namespace weft::sim {
namespace {

const char* verb(Access access) { return access == Access::read ? "reads" : "writes"; }

// "cudaMemcpyAsync on stream 1 of cuda:0 reads 400 bytes from"
std::string sentence(Access access, size_t bytes, const char* who) {
  std::string operation = operation_name(running.number);
  if (!operation.starts_with(who)) operation = std::string(who) + " in " + operation;
  return operation + " " + verb(access) + " " + std::to_string(bytes) + " bytes at ";
}

bool refuse(const std::string& text) {
  report(text);
  lose_device(running.device, cudaErrorIllegalAddress);
  return false;
}

}  // namespace

bool touch(const void* pointer, size_t bytes, Access access, bool initialised, const char* who, int device) {
  if (bytes == 0 || is_registered(pointer)) return true;
  const size_t offset = region_offset(pointer);
  const std::string what = describe(pointer);
  if (offset < area_bytes || offset >= region_bytes) return refuse(sentence(access, bytes, who) + what);
  const int owner = device_of_area(area_of(offset));
  if (owner >= 0 && owner != device) {
    return refuse(sentence(access, bytes, who) + what +
                  ", memory of another device than cuda:" + std::to_string(device));
  }
  const size_t dead = first_without(offset, bytes, state_live);
  if (dead != offset + bytes) {
    return refuse("out of bounds: " + sentence(access, bytes, who) + what +
                  (dead == offset ? "" : ": byte " + std::to_string(dead - offset) + " is " + describe_offset(dead)));
  }
  if (access != Access::write) {
    const size_t unknown = initialised ? first_without(offset, bytes, state_initialised) : offset + bytes;
    if (unknown != offset + bytes) {
      report("uninitialised read: " + sentence(Access::read, bytes, who) + what + ": byte " +
             std::to_string(unknown - offset) + " was never written");
    }
    order_read(offset, bytes);
  }
  if (access != Access::read) {
    order_write(offset, bytes);
    std::memset(states + offset, state_readable, bytes);
  }
  return true;
}

bool check_range(const void* pointer, size_t bytes, Access access, const char* who, int device) {
  Lock lock;
  return touch(pointer, bytes, access, true, who, device == any_device ? running.device : device);
}

bool check_rows(const void* pointer, size_t rows, size_t row_bytes, size_t pitch, Access access, const char* who,
                int device) {
  const char* row = static_cast<const char*>(pointer);
  for (size_t i = 0; i < rows; ++i, row += pitch) {
    if (!check_range(row, row_bytes, access, who, device)) return false;
  }
  return true;
}

}  // namespace weft::sim
