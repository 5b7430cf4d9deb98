#include "access.h"

#include <cstring>

#include "../memory/allocations.h"
#include "../memory/region.h"
#include "../reports.h"
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
         " bytes of " + describe(attempt.pointer);
}

void stop(cudaError_t status, const char* what, const Attempt& attempt, const std::string& detail = "") {
  stop_kernel(status, std::string(what) + ": " + sentence(attempt) + detail);
}

// One report per kind of fault, place in the code and allocation is enough.
void note(const char* what, const Attempt& attempt, const std::string& detail) {
  const std::string key = std::string(what) + code_place(attempt.pc);
  if (!already_reported(key)) report_once(key, std::string(what) + ": " + sentence(attempt) + detail);
}

void note_uninitialised(const Attempt& attempt) { note("uninitialised read", attempt, ""); }

void note_race(const Attempt& attempt, const Entry& other, const char* other_verb) {
  const uint3 block = kernel.block;
  const uint32_t number = kernel.block_order[other.stamp - kernel.first_stamp];
  const dim3 grid = kernel.call->grid;
  kernel.block = {number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
  const std::string who = thread_name(thread_of(other));
  kernel.block = block;
  note("data race", attempt, ", which " + who + " " + other_verb + " with no barrier between");
}

// True if the bytes may be touched at all; the common case is one comparison.
bool is_live(size_t offset, size_t bytes, const Attempt& attempt) {
  const int area = area_of(offset);
  if (first_without(offset, bytes, state_live) != offset + bytes) {
    stop(cudaErrorIllegalAddress, "out of bounds", attempt);
    return false;
  }
  if (area == kernel.area || area == shared_area || area == pinned_area) return true;
  stop(cudaErrorIllegalAddress, "another device's pointer", attempt, " in a kernel on cuda:" + std::to_string(kernel.device));
  return false;
}

void check_cell(Cell& cell, uint32_t oldest, const Attempt& attempt) {
  const bool atomic = attempt.mode == Mode::atomic;
  const bool write_unordered = unordered(cell.write, oldest);
  if (attempt.mode == Mode::read) {
    if (write_unordered) note_race(attempt, cell.write, "wrote");
    cell.read = unordered(cell.read, oldest) ? widened(cell.read, false) : own_entry(false);
    return;
  }
  if (write_unordered && atomic && is_atomic(cell.write)) {
    cell.write = widened(cell.write, true);
    return;
  }
  if (write_unordered) {
    note_race(attempt, cell.write, "wrote");
  } else if (unordered(cell.read, oldest)) {
    note_race(attempt, cell.read, "read");
  }
  cell.write = own_entry(atomic);
}

// `bytes` lie in one area. Every check there is, in the order in which they matter.
bool check_piece(size_t offset, size_t bytes, const Attempt& attempt) {
  if (!is_live(offset, bytes, attempt)) return false;
  if (attempt.mode != Mode::write && first_without(offset, bytes, state_initialised) != offset + bytes) {
    note_uninitialised(attempt);
  }
  const bool shared = area_of(offset) == shared_area;
  if (!shared) {
    if (attempt.mode != Mode::write) order_read(offset, bytes);
    if (attempt.mode != Mode::read) order_write(offset, bytes);
  }
  const uint32_t oldest = shared ? kernel.stamp : kernel.first_stamp;
  for (size_t i = 0; i < bytes; ++i) check_cell(cells[offset + i], oldest, attempt);
  if (attempt.mode != Mode::read) std::memset(states + offset, state_readable, bytes);
  return true;
}

bool is_stuck() {
  if (--kernel.budget != 0) return false;
  stop_kernel(cudaErrorLaunchTimeout, "stuck: " + kernel_name() + ", " + here() +
                                          " goes on without an end; does it wait for another block?");
  return true;
}

bool check_any(size_t offset, const Attempt& attempt) {
  if (is_stuck()) return false;
  if (offset < region_bytes) return check_piece(offset, attempt.bytes, attempt);
  const std::string fault = foreign_fault(attempt.pointer, attempt.bytes, attempt.mode != Mode::read);
  if (fault.empty()) return true;
  stop(cudaErrorIllegalAddress, "not device memory", attempt, fault);
  return false;
}

}  // namespace

void check_alignment(const void* pointer, size_t bytes, const void* pc) {
  if (reinterpret_cast<uintptr_t>(pointer) % bytes == 0) return;
  stop(cudaErrorMisalignedAddress, "misaligned", {pointer, bytes, Mode::read, pc}, ", an address that is no multiple of that");
  abandon_thread();
}

void check_access(const void* pointer, size_t bytes, Mode mode, const void* pc) {
  check_alignment(pointer, bytes, pc);
  check_range_access(pointer, bytes, mode, pc);
}

void check_range_access(const void* pointer, size_t bytes, Mode mode, const void* pc) {
  if (bytes != 0 && !check_any(region_offset(pointer), {pointer, bytes, mode, pc})) abandon_thread();
}

}  // namespace weft::sim
