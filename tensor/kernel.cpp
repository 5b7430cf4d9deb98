#include "weft/tensor/kernel.h"

#include "weft/tensor/backend.h"
#include "weft/tensor/error.h"

namespace weft::detail {

namespace {
constinit KernelBase* first_kernel = nullptr;
}

KernelRegistration::KernelRegistration(KernelBase& kernel) {
  kernel.next = first_kernel;
  first_kernel = &kernel;
}

KernelBase* all_kernels() { return first_kernel; }

void (*find_kernel(const KernelBase& kernel, DeviceType type))() {
  ensure_loaded();
  auto slot = kernel.slots[static_cast<int>(type)].load(std::memory_order_acquire);
  if (!slot) {
    std::string operation = kernel.name;
    if (operation.ends_with("_kernel")) operation.resize(operation.size() - 7);
    fail<DeviceError>(operation, ": no ", type, " kernel; move the operands to another device");
  }
  return slot;
}

}  // namespace weft::detail
