#include "touch.h"

#include <cstring>

#include "../lock.h"
#include "../reports.h"
#include "../runtime/status.h"
#include "../streams/order.h"
#include "../streams/stream.h"
#include "allocations.h"
#include "pinned.h"
#include "shadow.h"

namespace weft::sim {
namespace {

// "cudaMemcpyAsync on stream 1 of cuda:0 reads 400 bytes at cuda:0 allocation #3 (…), +0x0"
std::string sentence(Access access, const void* pointer, size_t bytes, const char* who) {
  std::string operation = operation_name(running.number);
  if (!operation.starts_with(who)) operation = std::string(who) + " in " + operation;
  return operation + (access == Access::read ? " reads " : " writes ") + std::to_string(bytes) + " bytes at " +
         describe(pointer);
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
  const size_t end = offset + bytes;
  if (offset < area_bytes || offset >= region_bytes) return refuse(sentence(access, pointer, bytes, who));
  const int owner = device_of_area(area_of(offset));
  if (owner >= 0 && owner != device) {
    return refuse("another device's pointer: " + sentence(access, pointer, bytes, who) +
                  ", expected on cuda:" + std::to_string(device));
  }
  if (const size_t dead = first_without(offset, bytes, state_live); dead != end) {
    return refuse("out of bounds: " + sentence(access, pointer, bytes, who) +
                  (dead == offset ? "" : ": byte " + std::to_string(dead - offset) + " is " + describe_offset(dead)));
  }
  if (access != Access::write) {
    const size_t unknown = initialised ? first_without(offset, bytes, state_initialised) : end;
    if (unknown != end && !any_device_lost()) {
      report("uninitialised read: " + sentence(Access::read, pointer, bytes, who) + ": byte " +
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
  bool good = false;
  const auto check = [&] {
    good = touch(pointer, bytes, access, true, who, device == any_device ? running.device : device);
  };
  if (running.number == 0) {
    run_on_host(who, check);
  } else {
    check();
  }
  return good;
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
