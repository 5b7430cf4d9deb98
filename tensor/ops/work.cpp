#include "weft/tensor/ops/work.h"

namespace weft::ops {

namespace {

// Elements with an address of their own: broadcast dimensions count once.
int64_t elements_in_memory(const Tensor& x) {
  int64_t n = 1;
  for (int i = 0; i < x.rank(); ++i)
    if (x.strides()[i] != 0 || x.shape()[i] == 0) n *= x.shape()[i];
  return n;
}

}  // namespace

void note_work(const KernelBase& kernel, const char* operation, std::initializer_list<const Tensor*> operands) noexcept
    try {
  int64_t bytes = 0;
  std::string shape;
  for (const Tensor* x : operands) {
    if (!x->defined()) continue;
    bytes += elements_in_memory(*x) * size_of(x->dtype());
    if (shape.empty()) shape = detail::concat(x->dtype(), x->shape());
  }
  detail::profile_next_call(kernel, operation, bytes, shape);
} catch (...) {
  // No memory for the text: the call goes by the kernel's name.
}

}  // namespace weft::ops
