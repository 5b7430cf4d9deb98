#include "tests/support/faults.h"

#include <cstdlib>
#include <new>

namespace weft::test {

namespace {

struct Plan {
  HostFault kind = HostFault::pool;
  bool armed = false;
  int64_t nth = 0, count = 0, asked = 0, fired = 0;
};
constinit thread_local Plan plan;

bool fails(HostFault kind) noexcept {
  if (!plan.armed || plan.kind != kind) return false;
  const int64_t index = plan.asked++;
  if (index < plan.nth || index >= plan.nth + plan.count) return false;
  ++plan.fired;
  return true;
}

}  // namespace

FailAllocations::FailAllocations(HostFault kind, int64_t nth, int64_t count) noexcept {
  plan = {kind, true, nth, count, 0, 0};
}
FailAllocations::~FailAllocations() { plan.armed = false; }
int64_t FailAllocations::fired() const noexcept { return plan.fired; }
int64_t FailAllocations::asked() const noexcept { return plan.asked; }

bool can_fail([[maybe_unused]] HostFault kind) noexcept {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return kind == HostFault::pool;
#else
  return true;
#endif
}

}  // namespace weft::test

// Found by the linker before the C library's.
extern "C" void* aligned_alloc(size_t alignment, size_t size) noexcept {
  if (weft::test::fails(weft::test::HostFault::pool)) return nullptr;
  void* block = nullptr;
  return posix_memalign(&block, alignment, size) == 0 ? block : nullptr;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void* operator new(size_t size) {
  void* block = weft::test::fails(weft::test::HostFault::heap) ? nullptr : std::malloc(size ? size : 1);
  if (!block) throw std::bad_alloc();
  return block;
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
#endif
