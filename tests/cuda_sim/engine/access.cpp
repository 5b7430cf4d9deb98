#include "access.h"

#include <cstring>

#include "../memory/allocations.h"
#include "../memory/region.h"
#include "../reports.h"
#include "../runtime/status.h"
#include "../streams/order.h"
#include "foreign.h"
#include "race.h"

namespace weft::sim {
namespace {

struct Attempt {
  const void* pointer;
  size_t bytes;
  Mode mode;
  const void* pc;
};

const char* verb(Mode mode) {
  return mode == Mode::read ? "reads" : mode == Mode::write ? "writes" : "atomically changes";
}

std::string sentence(const Attempt& attempt) {
  return code_place(attempt.pc) + ", " + here() + " " + verb(attempt.mode) + " " + std::to_string(attempt.bytes) +
         " bytes at " + describe(attempt.pointer);
}

void stop(cudaError_t status, const char* what, const Attempt& attempt, const std::string& detail = "") {
  stop_kernel(status, std::string(what) + ": " + sentence(attempt) + detail);
}

// For faults after which the kernel goes on: one report per kind and place in the code is enough.
void note(const char* what, const Attempt& attempt, const std::string& detail = "") {
  const std::string key = std::string(what) + code_place(attempt.pc);
  if (!already_reported(key)) report_once(key, std::string(what) + ": " + sentence(attempt) + detail);
}

void note_race(const Attempt& attempt, const Entry& other, const char* other_verb) {
  const uint3 block = kernel.block;
  const uint32_t number = kernel.block_order[other.stamp - kernel.first_stamp];
  const dim3 grid = kernel.call->grid;
  kernel.block = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
  const std::string who = thread_name(thread_of(other));
  kernel.block = block;
  note("data race", attempt, ", which " + who + " " + other_verb + " with no barrier between");
}

void stop_illegal(size_t offset, const Attempt& attempt) {
  if (first_without(offset, attempt.bytes, state_live) != offset + attempt.bytes) {
    stop(cudaErrorIllegalAddress, "out of bounds", attempt);
  } else {
    stop(cudaErrorIllegalAddress, "another device's pointer", attempt,
         ", in a kernel on cuda:" + std::to_string(kernel.device));
  }
}

inline void check_read(Cell& cell, uint32_t oldest, const Attempt& attempt, const Entry& own) {
  if (unordered(cell.write, oldest)) note_race(attempt, cell.write, "wrote");
  cell.read = unordered(cell.read, oldest) ? widened(cell.read, false) : own;
}

inline void check_write(Cell& cell, uint32_t oldest, const Attempt& attempt, const Entry& own) {
  const bool write_unordered = unordered(cell.write, oldest);
  if (write_unordered && is_atomic(own) && is_atomic(cell.write)) {
    cell.write = widened(cell.write, true);
    return;
  }
  if (write_unordered) {
    note_race(attempt, cell.write, "wrote");
  } else if (unordered(cell.read, oldest)) {
    note_race(attempt, cell.read, "read");
  }
  cell.write = own;
}

// Every check of bytes that lie in the region, in the order in which they matter. False if the kernel must stop.
inline bool check_piece(size_t offset, size_t bytes, const Attempt& attempt) {
  const int area = area_of(offset);
  const bool reachable = area == kernel.area || area == shared_area || area == pinned_area;
  if (!reachable || !all_have(offset, bytes, state_live)) {
    stop_illegal(offset, attempt);
    return false;
  }
  if (attempt.mode != Mode::write && !all_have(offset, bytes, state_initialised) && !any_device_lost()) {
    note("uninitialised read", attempt);
  }
  if (area != shared_area) {
    if (attempt.mode != Mode::write) order_read(offset, bytes);
    if (attempt.mode != Mode::read) order_write(offset, bytes);
  }
  const uint32_t oldest = area == shared_area ? kernel.stamp : kernel.first_stamp;
  const Entry own = own_entry(attempt.mode == Mode::atomic);
  if (attempt.mode == Mode::read) {
    for (size_t i = 0; i < bytes; ++i) check_read(cells[offset + i], oldest, attempt, own);
  } else {
    for (size_t i = 0; i < bytes; ++i) check_write(cells[offset + i], oldest, attempt, own);
    std::memset(states + offset, state_readable, bytes);
  }
  return true;
}

bool is_stuck() {
  if (--kernel.budget != 0) return false;
  stop_kernel(cudaErrorLaunchTimeout,
              "stuck: " + kernel_name() + ", " + here() + " goes on without an end; does it wait for another block?");
  return true;
}

bool check_foreign(const Attempt& attempt) {
  const std::string fault = foreign_fault(attempt.pointer, attempt.bytes, attempt.mode != Mode::read);
  if (fault.empty()) return true;
  stop(cudaErrorIllegalAddress, "not device memory", attempt, fault);
  return false;
}

inline bool check_any(size_t bytes, const Attempt& attempt) {
  if (on_stack(kernel.thread->fiber, attempt.pointer)) return true;
  if (is_stuck()) return false;
  const size_t offset = region_offset(attempt.pointer);
  return offset < region_bytes ? check_piece(offset, bytes, attempt) : check_foreign(attempt);
}

}  // namespace

void check_alignment(const void* pointer, size_t alignment, const void* pc) {
  if (reinterpret_cast<uintptr_t>(pointer) % alignment == 0) return;
  stop(cudaErrorMisalignedAddress, "misaligned", {pointer, alignment, Mode::read, pc},
       ", an address that is no multiple of that");
  abandon_thread();
}

template <size_t bytes>
void check_access(const void* pointer, Mode mode, const void* pc) {
  check_alignment(pointer, bytes, pc);
  if (!check_any(bytes, {pointer, bytes, mode, pc})) abandon_thread();
}
template void check_access<1>(const void*, Mode, const void*);
template void check_access<2>(const void*, Mode, const void*);
template void check_access<4>(const void*, Mode, const void*);
template void check_access<8>(const void*, Mode, const void*);
template void check_access<16>(const void*, Mode, const void*);

void check_range_access(const void* pointer, size_t bytes, Mode mode, const void* pc) {
  if (bytes != 0 && !check_any(bytes, {pointer, bytes, mode, pc})) abandon_thread();
}

}  // namespace weft::sim
