#include "fiber.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#if !defined(__x86_64__)
#error "the CUDA simulator switches fibers by hand, on x86-64 only"
#endif

// weft_sim_switch(save, to): keeps the callee-saved registers on the running stack, stores its pointer at *save and
// goes on with the stack at `to`.
extern "C" void weft_sim_switch(void** save, void* to);
asm(R"(
.text
.globl weft_sim_switch
.type weft_sim_switch, @function
weft_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size weft_sim_switch, .-weft_sim_switch
)");

namespace weft::sim {
namespace {

constexpr size_t most_stacks = 1024;  // threads of a block
constexpr size_t guard_bytes = 4096;

char* stacks = nullptr;
size_t stacks_made = 0;
std::vector<char*> free_stacks;
void* scheduler = nullptr;

char* take_stack() {
  if (!stacks) {
    void* address = mmap(nullptr, most_stacks * stack_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) {
      std::perror("cuda simulator: stacks of a block");
      std::abort();
    }
    stacks = static_cast<char*>(address);
  }
  if (free_stacks.empty()) {
    char* stack = stacks + stacks_made++ * stack_bytes;
    mprotect(stack, guard_bytes, PROT_NONE);
    return stack;
  }
  char* stack = free_stacks.back();
  free_stacks.pop_back();
  return stack;
}

}  // namespace

void start(Fiber& fiber, void (*entry)()) {
  fiber.stack = take_stack();
  // Stacks start at different places of their pages, or all their tops would compete for the same lines of the cache.
  const size_t number = static_cast<size_t>(fiber.stack - stacks) / stack_bytes;
  void** top = reinterpret_cast<void**>(fiber.stack + stack_bytes - 64 - number % 16 * 256);
  *--top = nullptr;  // where entry would return to
  *--top = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  fiber.stack_pointer = top;
}

void resume(Fiber& fiber) { weft_sim_switch(&scheduler, fiber.stack_pointer); }

void suspend(Fiber& fiber) { weft_sim_switch(&fiber.stack_pointer, scheduler); }

void recycle(Fiber& fiber) {
  free_stacks.push_back(fiber.stack);
  fiber.stack = nullptr;
}

void recycle_all() {
  free_stacks.clear();
  for (size_t i = stacks_made; i-- > 0;) free_stacks.push_back(stacks + i * stack_bytes);
}

bool on_any_stack(const void* pointer) { return pointer >= stacks && pointer < stacks + most_stacks * stack_bytes; }

}  // namespace weft::sim
