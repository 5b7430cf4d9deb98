// What kernels compiled for the simulator call: who am I, barriers, exchanges, shared memory, launches. Their loads and
// stores need no call: the compiler's -fsanitize=thread hooks announce them.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace weft::sim {

/// A place in the source, where threads wait for each other. As a default argument, `= {}`: the place of the call.
struct Site {
  constexpr Site(const char* f = __builtin_FILE(), int l = __builtin_LINE()) : file(f), line(l) {}
  const char* file;
  int line;
};

uint3 thread_index();
uint3 block_index();
dim3 block_extent();
dim3 grid_extent();
unsigned lane();

/// Every thread of the block that has not exited arrives before one leaves. Returns how many had a nonzero predicate
/// and, in `arrived`, how many there were.
int block_barrier(int predicate, int& arrived, Site site);

enum class WarpOperation { sync, shuffle, ballot, match };
/// The lanes in `mask` that have not exited meet; all must come with the same operation, mask and site. Returns the
/// value of lane `source` (shuffle), or the lanes whose value is nonzero (ballot) or equal to this lane's (match).
uint64_t meet_warp(WarpOperation operation, unsigned mask, uint64_t value, unsigned source, Site site);

/// The block's variable declared at this place of this function; made, uninitialised, by the first thread that asks.
void* shared_variable(size_t bytes, size_t alignment, const char* function, Site site);
/// The launch's dynamic shared memory, aligned to 16.
void* dynamic_shared(size_t alignment);

/// Announces an atomic access.
void atomic_access(const void* pointer, size_t bytes);
/// Announces an access that wants this alignment; the hooks do not tell, for the compiler may split it.
void aligned_access(const void* pointer, size_t alignment);

/// A kernel and its arguments, ready to be called once per thread.
struct KernelCall {
  const char* name = nullptr;  // or null: the kernel's own
  const void* function = nullptr;
  dim3 grid, block;
  size_t shared_bytes = 0;
  std::shared_ptr<const void> arguments;
  size_t argument_bytes = 0;
  void (*run)(const void* arguments) = nullptr;
};
/// Checks the limits of a launch and queues it; the error is returned and not remembered.
cudaError_t launch(KernelCall call, cudaStream_t stream);

template <class... Parameters, class... Arguments>
KernelCall kernel_call(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                       const Arguments&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "a kernel's parameters are copied byte by byte");
  // Without hooks: the copies of the arguments that a launch keeps are nothing a kernel sees.
  auto body = [=]() __attribute__((no_sanitize("thread"))) { kernel(static_cast<Parameters>(arguments)...); };
  using Body = decltype(body);
  return {name,         reinterpret_cast<const void*>(kernel),
          grid,         block,
          shared_bytes, std::make_shared<const Body>(body),
          sizeof(Body), [](const void* pointer) { (*static_cast<const Body*>(pointer))(); }};
}

}  // namespace weft::sim
