#include "region.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "../lock.h"
#include "allocations.h"
#include "shadow.h"

namespace weft::sim {

char* region_base = nullptr;

namespace {

bool is_open[max_devices];
std::vector<std::pair<size_t, size_t>> poison_later;  // offset, bytes
struct sigaction previous_handler;

constexpr unsigned char poison_byte = 0xff;  // a NaN in every floating-point type, -1 in every integer type

void protect(int device, int protection) {
  if (mprotect(region_pointer(area_of_device(device) * area_bytes), area_bytes, protection) != 0) {
    std::perror("cuda simulator: mprotect of a device's memory");
    std::abort();
  }
}

void name_fault(int signal, siginfo_t* info, void* context) {
  const size_t offset = region_offset(info->si_addr);
  if (offset < region_bytes && is_device_area(area_of(offset))) {
    const std::string text = "cuda simulator: host code dereferenced " + describe(info->si_addr) +
                             "; copy it with cudaMemcpyAsync and synchronise first\n";
    (void)!write(STDERR_FILENO, text.data(), text.size());
  }
  if (previous_handler.sa_flags & SA_SIGINFO) return previous_handler.sa_sigaction(signal, info, context);
  if (previous_handler.sa_handler != SIG_DFL && previous_handler.sa_handler != SIG_IGN) {
    return previous_handler.sa_handler(signal);
  }
  sigaction(SIGSEGV, &previous_handler, nullptr);  // the access is repeated and ends the process
}

// Test frameworks install handlers of their own for each test: look again whenever an arena has just been closed.
void watch_faults() {
  struct sigaction now;
  sigaction(SIGSEGV, nullptr, &now);
  if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == name_fault) return;
  previous_handler = now;
  struct sigaction ours = {};
  ours.sa_sigaction = name_fault;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &ours, nullptr);
}

}  // namespace

void start_region() {
  void* address = mmap(nullptr, region_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    std::perror("cuda simulator: reserving addresses for the devices' memory");
    std::abort();
  }
  region_base = static_cast<char*>(address);
  (void)madvise(address, region_bytes, MADV_HUGEPAGE);  // opening and closing an arena changes each page's entry
  for (int area : {shared_area, pinned_area}) {
    mprotect(region_pointer(area * area_bytes), area_bytes, PROT_READ | PROT_WRITE);
  }
  watch_faults();
}

void reset_region() {
  close_arenas();
  poison_later.clear();
  madvise(region_base, region_bytes, MADV_DONTNEED);
  watch_faults();
}

bool open_arena(int device) {
  if (is_open[device]) return false;
  protect(device, PROT_READ | PROT_WRITE);
  is_open[device] = true;
  const int area = area_of_device(device);
  std::erase_if(poison_later, [area](const auto& range) {
    if (area_of(range.first) != area) return false;
    std::memset(region_pointer(range.first), poison_byte, range.second);
    return true;
  });
  return true;
}

void close_arena(int device) {
  if (!is_open[device]) return;
  protect(device, PROT_NONE);
  is_open[device] = false;
  watch_faults();
}

void close_arenas() {
  for (int device = 0; device < max_devices; ++device) close_arena(device);
}

void poison(size_t offset, size_t bytes) {
  const int device = device_of_area(area_of(offset));
  if (device < 0 || is_open[device]) {
    std::memset(region_pointer(offset), poison_byte, bytes);
  } else {
    poison_later.emplace_back(offset, bytes);
  }
}

int pointer_device(const void* pointer) {
  const size_t offset = region_offset(pointer);
  return offset < region_bytes ? device_of_area(area_of(offset)) : -1;
}

DeviceAccess::DeviceAccess(int device) : device_(device) {
  Lock lock;
  opened_ = open_arena(device);
}

DeviceAccess::~DeviceAccess() {
  Lock lock;
  if (opened_) close_arena(device_);
}

}  // namespace weft::sim
