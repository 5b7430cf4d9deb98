// profile_work(): what a kernel's call does, said by the operation that has the tensors at hand, before the call.
#pragma once

#include "weft/tensor/kernel.h"
#include "weft/tensor/profile_scope.h"
#include "weft/tensor/tensor.h"

namespace weft::ops {

void note_work(const KernelBase& kernel, const char* operation, std::initializer_list<const Tensor*> operands) noexcept;

/// The next call of `kernel` in this thread reads or writes each of `operands` (undefined ones count nothing; what is
/// read and written is listed twice); the first gives the shape that is shown. One relaxed load while no profile
/// records.
template <class... T>
void profile_work(const KernelBase& kernel, const T&... operands) {
  if (detail::profiling.load(std::memory_order_relaxed)) [[unlikely]]
    note_work(kernel, nullptr, {&operands...});
}
/// The same where the kernel serves several operations; `operation` is a literal.
template <class... T>
void profile_work_as(const char* operation, const KernelBase& kernel, const T&... operands) {
  if (detail::profiling.load(std::memory_order_relaxed)) [[unlikely]]
    note_work(kernel, operation, {&operands...});
}
/// For kernels over lists of tensors: `bytes()` is asked only while a profile records.
template <class Bytes>
void profile_bytes(const KernelBase& kernel, const Bytes& bytes) {
  if (detail::profiling.load(std::memory_order_relaxed)) [[unlikely]]
    detail::profile_next_call(kernel, nullptr, bytes(), "");
}

}  // namespace weft::ops
