// Failing allocations of host memory: aligned_alloc (the CPU's pool) and operator new (everything else) of the test
// program go through a plan of the calling thread or of the process.
#pragma once

#include <cstdint>

namespace weft::test {

enum class HostFault { pool, heap };
enum class FaultyThreads { this_one, all };

/// While it lives, allocations of this kind by this thread, or by all, fail: `count` of them, from the nth on (counted
/// from 0).
class FailAllocations {
 public:
  FailAllocations(HostFault kind, int64_t nth, int64_t count = 1,
                  FaultyThreads threads = FaultyThreads::this_one) noexcept;
  ~FailAllocations();
  FailAllocations(const FailAllocations&) = delete;
  FailAllocations& operator=(const FailAllocations&) = delete;
  /// Allocations that failed, and all that were asked for.
  int64_t fired() const noexcept;
  int64_t asked() const noexcept;

 private:
  FaultyThreads threads_;
};

/// False where the program cannot intercept the kind (a sanitizer owns operator new).
bool can_fail(HostFault kind) noexcept;

}  // namespace weft::test
