// Ref<T>: a counted pointer to an object that carries its own count (RefCounted), one pointer wide.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace weft {

class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;
  uint32_t use_count() const { return count_.load(std::memory_order_relaxed); }

 private:
  template <class T>
  friend class Ref;
  std::atomic<uint32_t> count_{0};
};

/// When the last Ref goes, `release(T*)`, found by argument-dependent look-up, disposes of the object.
template <class T>
class Ref {
 public:
  Ref() noexcept = default;
  explicit Ref(T* object) noexcept : object_(object) { retain(); }
  Ref(const Ref& other) noexcept : object_(other.object_) { retain(); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(const Ref& other) noexcept {
    Ref(other).swap(*this);
    return *this;
  }
  Ref& operator=(Ref&& other) noexcept {
    Ref(std::move(other)).swap(*this);
    return *this;
  }
  ~Ref() { reset(); }

  void reset() noexcept {
    T* object = std::exchange(object_, nullptr);
    if (object && object->count_.fetch_sub(1, std::memory_order_acq_rel) == 1) release(object);
  }
  void swap(Ref& other) noexcept { std::swap(object_, other.object_); }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  T* raw() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) noexcept { return a.object_ == b.object_; }

 private:
  void retain() noexcept {
    if (object_) object_->count_.fetch_add(1, std::memory_order_relaxed);
  }
  T* object_ = nullptr;
};

}  // namespace weft
