// The recorded members of Tensor, by the functions of the same name, and those that work in place.
#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/in_place.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/view.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/fill.h"

namespace weft {

Tensor Tensor::sum(const ReduceOptions& options) const { return weft::sum(*this, options); }
Tensor Tensor::mean(const ReduceOptions& options) const { return weft::mean(*this, options); }
Tensor Tensor::max(const ReduceOptions& options) const { return weft::max(*this, options); }
Tensor Tensor::reshape(const Shape& shape) const { return weft::reshape(*this, shape); }
Tensor Tensor::flatten(int64_t from, int64_t to) const { return weft::flatten(*this, from, to); }
Tensor Tensor::permute(const Dims& order) const { return weft::permute(*this, order); }
Tensor Tensor::transpose(int64_t a, int64_t b) const { return weft::transpose(*this, a, b); }
Tensor Tensor::expand(const Shape& shape) const { return weft::expand(*this, shape); }
Tensor Tensor::unsqueeze(int64_t axis) const { return weft::unsqueeze(*this, axis); }
Tensor Tensor::squeeze(int64_t axis) const { return weft::squeeze(*this, axis); }
Tensor Tensor::slice(int64_t axis, int64_t start, int64_t stop, int64_t step) const {
  return weft::slice(*this, axis, start, stop, step);
}
Tensor Tensor::operator[](int64_t i) const { return weft::select(*this, 0, i); }
Tensor Tensor::contiguous(Layout layout) const { return weft::contiguous(*this, layout); }
Tensor Tensor::clone() const { return weft::clone(*this); }
Tensor Tensor::to(Device device, const CopyOptions& options) const { return weft::to(*this, device, options); }
Tensor Tensor::to(DType dtype) const { return weft::to(*this, dtype); }

Tensor& Tensor::fill_(double value) {
  autograd::check_untracked("fill_", *this, "the tensor");
  ops::fill_(*this, value);
  return *this;
}

Tensor& Tensor::copy_(const Tensor& source, const CopyOptions& options) {
  autograd::check_untracked("copy_", *this, "the tensor");
  autograd::check_untracked("copy_", source, "the source");
  ops::copy_(*this, source, options);
  return *this;
}

Tensor& Tensor::add_(const Tensor& other, double scale) {
  autograd::check_untracked("add_", *this, "the tensor");
  autograd::check_untracked("add_", other, "the other operand");
  ops::add_(*this, other, scale);
  return *this;
}

Tensor& Tensor::mul_(double factor) {
  autograd::check_untracked("mul_", *this, "the tensor");
  ops::mul_(*this, factor);
  return *this;
}

}  // namespace weft
