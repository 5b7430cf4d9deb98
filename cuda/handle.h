// Unique<Handle, Destroy>: the owner of a handle of CUDA or one of its libraries; and the names of the usual ones.
#pragma once

#include <cuda_runtime_api.h>

#include <utility>

namespace weft::cuda {

/// Owns a pointer-like handle; `Destroy` is a function or a captureless lambda that takes it. A failure is forgotten: a
/// destructor has nobody to tell, and the next launch must not be told of it. Objects that outlive main() are leaked on
/// purpose, because by then CUDA may be gone.
template <class Handle, auto Destroy>
class Unique {
 public:
  Unique() noexcept = default;
  explicit Unique(Handle handle) noexcept : handle_(handle) {}
  Unique(Unique&& other) noexcept : handle_(other.release()) {}
  Unique& operator=(Unique&& other) noexcept {
    Unique(std::move(other)).swap(*this);
    return *this;
  }
  ~Unique() {
    if (handle_ && static_cast<int>(Destroy(handle_)) != 0) static_cast<void>(cudaGetLastError());
  }

  Handle raw() const noexcept { return handle_; }
  explicit operator bool() const noexcept { return handle_ != Handle{}; }
  Handle release() noexcept { return std::exchange(handle_, Handle{}); }
  void swap(Unique& other) noexcept { std::swap(handle_, other.handle_); }
  /// Where a create function writes the new handle; an old one is destroyed first.
  Handle* out() noexcept {
    Unique().swap(*this);
    return &handle_;
  }

 private:
  Handle handle_{};
};

using UniqueStream = Unique<cudaStream_t, cudaStreamDestroy>;
using UniqueEvent = Unique<cudaEvent_t, cudaEventDestroy>;
using UniquePool = Unique<cudaMemPool_t, cudaMemPoolDestroy>;

}  // namespace weft::cuda
