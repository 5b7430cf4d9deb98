// Kernel<Args>: one computation with one function per device type. An operation defines the kernel (WEFT_KERNEL in
// tensor/ops/X.cpp); files of kernels plug their function in (WEFT_PLUGS at the end of tensor/cpu/ops/X.cpp,
// cuda/ops/X.cu).
#pragma once

#include <atomic>

#include "weft/tensor/device.h"
#include "weft/tensor/half.h"

namespace weft {

/// What all kernels share: a name, a slot per device type, a place in the list of all kernels.
struct KernelBase {
  const char* name;
  std::atomic<void (*)()> slots[device_types] = {};
  KernelBase* next = nullptr;

  constexpr explicit KernelBase(const char* n) : name(n) {}
  bool has(DeviceType type) const { return slots[static_cast<int>(type)].load(std::memory_order_acquire) != nullptr; }
};

namespace detail {
/// Loads the backends if that has not happened, then returns the slot or throws Error `softmax: no cuda kernel; …`.
void (*find_kernel(const KernelBase& kernel, DeviceType type))();
/// The list of all kernels, for tests that walk the slots.
KernelBase* all_kernels();
struct KernelRegistration {
  explicit KernelRegistration(KernelBase& kernel);
};
/// While not null, told of every call of a kernel by the thread that calls it, before (done = false) and after; not
/// told of the end of a call that throws. For profilers.
using KernelObserver = void (*)(const KernelBase& kernel, Stream stream, bool done);
inline constinit std::atomic<KernelObserver> kernel_observer{nullptr};
}  // namespace detail

/// Args: a plain struct of pointers, extents and options; no Tensor, so that kernel files stay small and independent.
template <class Args>
struct Kernel : KernelBase {
  using Function = void (*)(const Args& args, Stream stream);
  using KernelBase::KernelBase;

  void operator()(const Args& args, Stream stream) const {
    auto slot = slots[static_cast<int>(stream.device.type)].load(std::memory_order_acquire);
    if (!slot) [[unlikely]]
      slot = detail::find_kernel(*this, stream.device.type);
    const detail::KernelObserver observer = detail::kernel_observer.load(std::memory_order_acquire);
    if (observer) [[unlikely]]
      observer(*this, stream, false);
    reinterpret_cast<Function>(slot)(args, stream);
    if (observer) [[unlikely]]
      observer(*this, stream, true);
  }

  __attribute__((always_inline)) void plug(DeviceType type, Function function) {
    __atomic_store_n(reinterpret_cast<void (**)()>(&slots[static_cast<int>(type)]),
                     reinterpret_cast<void (*)()>(function), __ATOMIC_RELEASE);
  }
};

}  // namespace weft

/// Defines a kernel declared `extern Kernel<Args> name;` in the operation's header.
#define WEFT_KERNEL(Args, name)               \
  constinit ::weft::Kernel<Args> name{#name}; \
  static const ::weft::detail::KernelRegistration name##_registration { name }

#define WEFT_JOIN_(a, b) a##_##b
#define WEFT_JOIN(a, b) WEFT_JOIN_(a, b)

// The build passes WEFT_SIDE (cpu or cuda), WEFT_STEM (the file's name) and, for CPU kernels, WEFT_ISA (v2, v3, v4,
// base).
#ifdef WEFT_ISA
#define WEFT_PLUG_NAME WEFT_JOIN(plug, WEFT_JOIN(WEFT_STEM, WEFT_ISA))
#else
#define WEFT_PLUG_NAME WEFT_JOIN(plug, WEFT_STEM)
#endif

/// `WEFT_PLUGS() { WEFT_PLUG(softmax_kernel, softmax); }` ends a file of kernels.
#define WEFT_PLUGS()          \
  namespace weft::WEFT_SIDE { \
  void WEFT_PLUG_NAME();      \
  }                           \
  void weft::WEFT_SIDE::WEFT_PLUG_NAME()
#define WEFT_PLUG(kernel, function) kernel.plug(::weft::DeviceType::WEFT_SIDE, function)
