// What -fsanitize=thread calls: kernels' loads and stores arrive here. Host code in the same files calls the hooks too,
// and they return at once; its atomics are carried out.
#include <cstddef>
#include <cstdint>

#include "access.h"
#include "kernel.h"

namespace weft::sim {

void atomic_access(const void* pointer, size_t bytes) {
  if (!in_kernel) return;
  check_alignment(pointer, bytes, __builtin_return_address(0));
  check_range_access(pointer, bytes, Mode::atomic, __builtin_return_address(0));
}

void aligned_access(const void* pointer, size_t alignment) {
  if (!in_kernel) return;
  check_alignment(pointer, alignment, __builtin_return_address(0));
  if (alignment == 16) ++kernel.wide_accesses;
}

}  // namespace weft::sim

using weft::sim::check_access;
using weft::sim::check_range_access;
using weft::sim::in_kernel;
using weft::sim::Mode;

#define WEFT_SIM_HOOK(mode, bytes)                                                              \
  extern "C" void __tsan_##mode##bytes(void* pointer) {                                         \
    if (in_kernel) check_access<bytes>(pointer, Mode::mode, __builtin_return_address(0));       \
  }                                                                                             \
  extern "C" void __tsan_unaligned_##mode##bytes(void* pointer) {                               \
    if (in_kernel) check_range_access(pointer, bytes, Mode::mode, __builtin_return_address(0)); \
  }
#define WEFT_SIM_HOOKS(bytes) WEFT_SIM_HOOK(read, bytes) WEFT_SIM_HOOK(write, bytes)

WEFT_SIM_HOOKS(1)
WEFT_SIM_HOOKS(2)
WEFT_SIM_HOOKS(4)
WEFT_SIM_HOOKS(8)
WEFT_SIM_HOOKS(16)

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

void __tsan_read_range(void* pointer, size_t bytes) {
  if (in_kernel) check_range_access(pointer, bytes, Mode::read, __builtin_return_address(0));
}
void __tsan_write_range(void* pointer, size_t bytes) {
  if (in_kernel) check_range_access(pointer, bytes, Mode::write, __builtin_return_address(0));
}

void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }
}

// std::atomic in host code: as strong as can be, whatever order was asked for.
#define WEFT_SIM_ATOMIC_FETCH(bits, name)                                                                              \
  extern "C" uint##bits##_t __tsan_atomic##bits##_fetch_##name(volatile uint##bits##_t* pointer, uint##bits##_t value, \
                                                               int) {                                                  \
    return __atomic_fetch_##name(pointer, value, __ATOMIC_SEQ_CST);                                                    \
  }
#define WEFT_SIM_ATOMIC_EXCHANGE(bits, strength, weak)                                                      \
  extern "C" bool __tsan_atomic##bits##_compare_exchange_##strength(                                        \
      volatile uint##bits##_t* pointer, uint##bits##_t* expected, uint##bits##_t value, int, int) {         \
    return __atomic_compare_exchange_n(pointer, expected, value, weak, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }
#define WEFT_SIM_ATOMIC(bits)                                                                                      \
  extern "C" uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t* pointer, int) {              \
    return __atomic_load_n(pointer, __ATOMIC_SEQ_CST);                                                             \
  }                                                                                                                \
  extern "C" void __tsan_atomic##bits##_store(volatile uint##bits##_t* pointer, uint##bits##_t value, int) {       \
    __atomic_store_n(pointer, value, __ATOMIC_SEQ_CST);                                                            \
  }                                                                                                                \
  extern "C" uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t* pointer, uint##bits##_t value, \
                                                           int) {                                                  \
    return __atomic_exchange_n(pointer, value, __ATOMIC_SEQ_CST);                                                  \
  }                                                                                                                \
  WEFT_SIM_ATOMIC_FETCH(bits, add)                                                                                 \
  WEFT_SIM_ATOMIC_FETCH(bits, sub)                                                                                 \
  WEFT_SIM_ATOMIC_FETCH(bits, and)                                                                                 \
  WEFT_SIM_ATOMIC_FETCH(bits, or)                                                                                  \
  WEFT_SIM_ATOMIC_FETCH(bits, xor)                                                                                 \
  WEFT_SIM_ATOMIC_EXCHANGE(bits, strong, false)                                                                    \
  WEFT_SIM_ATOMIC_EXCHANGE(bits, weak, true)

WEFT_SIM_ATOMIC(8)
WEFT_SIM_ATOMIC(16)
WEFT_SIM_ATOMIC(32)
WEFT_SIM_ATOMIC(64)
