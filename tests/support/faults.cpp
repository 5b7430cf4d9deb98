#include "tests/support/faults.h"

#include <atomic>
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

struct SharedPlan {
  std::atomic<bool> armed{false};
  std::atomic<HostFault> kind{HostFault::pool};
  std::atomic<int64_t> nth{0}, count{0}, asked{0}, fired{0};
};
constinit SharedPlan everywhere;

bool fails_everywhere(HostFault kind) noexcept {
  if (!everywhere.armed || everywhere.kind != kind) return false;
  const int64_t index = everywhere.asked++;
  if (index < everywhere.nth || index >= everywhere.nth + everywhere.count) return false;
  ++everywhere.fired;
  return true;
}

bool fails(HostFault kind) noexcept {
  if (fails_everywhere(kind)) return true;
  if (!plan.armed || plan.kind != kind) return false;
  const int64_t index = plan.asked++;
  if (index < plan.nth || index >= plan.nth + plan.count) return false;
  ++plan.fired;
  return true;
}

}  // namespace

FailAllocations::FailAllocations(HostFault kind, int64_t nth, int64_t count, FaultyThreads threads) noexcept
    : threads_(threads) {
  if (threads == FaultyThreads::this_one) {
    plan = {kind, true, nth, count, 0, 0};
    return;
  }
  everywhere.kind = kind;
  everywhere.nth = nth;
  everywhere.count = count;
  everywhere.asked = everywhere.fired = 0;
  everywhere.armed = true;
}
FailAllocations::~FailAllocations() {
  if (threads_ == FaultyThreads::this_one)
    plan.armed = false;
  else
    everywhere.armed = false;
}
int64_t FailAllocations::fired() const noexcept {
  return threads_ == FaultyThreads::this_one ? plan.fired : everywhere.fired.load();
}
int64_t FailAllocations::asked() const noexcept {
  return threads_ == FaultyThreads::this_one ? plan.asked : everywhere.asked.load();
}

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
