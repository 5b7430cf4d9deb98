#include "weft/tensor/small_pool.h"

#include <array>
#include <cstdint>
#include <mutex>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(data, bytes) ((void)(data), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(data, bytes) ((void)(data), (void)(bytes))
#endif

namespace weft::detail {

namespace {

constexpr size_t step = 32;
constexpr size_t classes = small_block_limit / step;
constexpr uint32_t local_limit = 512;  // blocks of one size that a thread keeps for itself

struct Free {
  Free* next;
};
struct List {
  Free* head = nullptr;
  uint32_t count = 0;

  void push(void* block) noexcept {
    head = new (block) Free{head};
    ++count;
    ASAN_POISON_MEMORY_REGION(static_cast<char*>(block) + sizeof(Free), step - sizeof(Free));
  }
  void* pop() noexcept {
    Free* block = head;
    head = block->next;
    --count;
    ASAN_UNPOISON_MEMORY_REGION(block, step);
    return block;
  }
};

// Blocks beyond local_limit, and those of threads that ended, for whoever needs them next. Never destroyed: tensors
// with static storage duration may be dropped after any static object of this file.
struct Shared {
  std::mutex mutex;
  std::array<List, classes> lists;
};
Shared& shared() {
  static Shared& instance = *new Shared;
  return instance;
}

struct Local {
  std::array<List, classes> lists;

  void spill(size_t c, uint32_t keep) noexcept {
    Shared& common = shared();
    const std::lock_guard lock(common.mutex);
    while (lists[c].count > keep) common.lists[c].push(lists[c].pop());
  }
  bool refill(size_t c) {
    Shared& common = shared();
    const std::lock_guard lock(common.mutex);
    for (int i = 0; i < 64 && common.lists[c].head; ++i) lists[c].push(common.lists[c].pop());
    return lists[c].head != nullptr;
  }
};

// The lists of a thread; null before first use and after the thread's destructors ran. A plain pointer costs less to
// read than an object with a destructor.
constinit thread_local Local* local = nullptr;
constinit thread_local bool ended = false;

struct LocalOwner {
  Local lists;
  LocalOwner() { local = &lists; }
  ~LocalOwner() {
    for (size_t c = 0; c < classes; ++c) lists.spill(c, 0);
    local = nullptr;
    ended = true;
  }
};

Local* open_local() {
  if (ended) return nullptr;
  static thread_local LocalOwner owner;
  return local;
}

}  // namespace

void* small_allocate(size_t bytes) {
  if (bytes > small_block_limit) return ::operator new(bytes);
  const size_t c = (bytes + step - 1) / step - (bytes > 0);
  Local* own = local ? local : open_local();
  if (own && (own->lists[c].head || own->refill(c))) {
    void* block = own->lists[c].pop();
    ASAN_UNPOISON_MEMORY_REGION(block, (c + 1) * step);
    return block;
  }
  return ::operator new((c + 1) * step);
}

void small_deallocate(void* block, size_t bytes) noexcept {
  if (bytes > small_block_limit) {
    ::operator delete(block);
    return;
  }
  const size_t c = (bytes + step - 1) / step - (bytes > 0);
  Local* own = local ? local : open_local();
  if (!own) {
    ::operator delete(block);
    return;
  }
  own->lists[c].push(block);
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(block) + sizeof(Free), (c + 1) * step - sizeof(Free));
  if (own->lists[c].count > local_limit) own->spill(c, local_limit / 2);
}

}  // namespace weft::detail
