// leased<T>(): what a library wants once per thread and device, such as its handle. A thread takes an idle one or makes
// it; when the thread ends it is left for the next, so short-lived workers do not pay for new handles.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "weft/cuda/context.h"

namespace weft::cuda {

template <class T>
class Leases {
 public:
  /// This thread's T for the device; made by T(index), with the device current. Its state before forget_devices() is
  /// abandoned with the device it belonged to.
  static T& on(int index) {
    Context& context = Context::of(index);
    thread_local Held held;
    if (held.entries.size() <= static_cast<size_t>(index)) held.entries.resize(static_cast<size_t>(index) + 1);
    Entry& entry = held.entries[static_cast<size_t>(index)];
    if (entry.context != &context) {
      abandon(entry);
      entry = take(context);
    }
    return *entry.object;
  }

 private:
  struct Entry {
    const Context* context = nullptr;  // never reused: contexts live until the process ends
    std::unique_ptr<T> object;
  };
  struct Held {
    std::vector<Entry> entries;  // by device
    ~Held() {
      for (Entry& entry : entries)
        if (entry.object) give(std::move(entry));
    }
  };
  struct Idle {
    std::mutex mutex;
    std::vector<Entry> entries;
  };
  // Never destroyed: threads may end after static destructors began, and CUDA may be gone by then.
  static Idle& idle() {
    static Idle& list = *new Idle;
    return list;
  }

  static Entry take(Context& context) {
    {
      Idle& list = idle();
      const std::lock_guard lock(list.mutex);
      for (Entry& entry : list.entries) {
        if (entry.context != &context) continue;
        std::swap(entry, list.entries.back());
        Entry found = std::move(list.entries.back());
        list.entries.pop_back();
        return found;
      }
    }
    const DeviceScope scope(context.index());
    return {&context, std::make_unique<T>(context.index())};
  }

  static void give(Entry entry) {
    Idle& list = idle();
    const std::lock_guard lock(list.mutex);
    list.entries.push_back(std::move(entry));
  }

  // Its device was reset under it: the library must not be called with it any more, not even to destroy it.
  static void abandon(Entry& entry) { static_cast<void>(entry.object.release()); }
};

template <class T>
T& leased(int index) {
  return Leases<T>::on(index);
}

}  // namespace weft::cuda
