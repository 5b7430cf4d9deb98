#include "weft/tensor/ops/tree_sum.h"

#include <algorithm>

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/elementwise.h"
#include "weft/tensor/ops/work.h"

namespace weft {

WEFT_KERNEL(TreeSumArgs, tree_sum_kernel);

namespace ops {
namespace {

bool share_memory(Device a, Device b) { return a == b || (a.is_cpu() && b.is_cpu()); }

void check_terms(std::span<const Tensor> x) {
  WEFT_CHECK(Error, !x.empty(), "tree_sum: no terms");
  for (const Tensor& t : x) {
    WEFT_CHECK(ShapeError, t.shape() == x[0].shape(), "tree_sum: shapes ", x[0].shape(), " and ", t.shape(), " differ");
    WEFT_CHECK(DtypeError, t.dtype() == x[0].dtype(), "tree_sum: dtypes ", x[0].dtype(), " and ", t.dtype(), " differ");
  }
}

void check_outputs(std::span<const Tensor> y, const Tensor& x) {
  WEFT_CHECK(Error, !y.empty(), "tree_sum: no outputs");
  for (const Tensor& t : y) {
    WEFT_CHECK(DeviceError, t.device() == y[0].device() || share_memory(t.device(), y[0].device()),
               "tree_sum: outputs on ", y[0].device(), " and ", t.device());
    WEFT_CHECK(ShapeError, t.shape() == x.shape() && t.dtype() == x.dtype(), "tree_sum: the output is ", t.dtype(),
               t.shape(), ", the terms are ", x.dtype(), x.shape());
    WEFT_CHECK(ShapeError, same_dense(y[0], t), "tree_sum: outputs have gaps or differ in strides");
  }
  WEFT_CHECK(Error, y.size() == 1 || y[0].device().is_cpu(), "tree_sum: ", y.size(), " outputs on ", y[0].device());
}

void one_pass(std::span<const Tensor> y, std::span<const Tensor> x) {
  const void* terms[tree_sum_most];
  for (size_t k = 0; k < x.size(); ++k) terms[k] = x[k].raw();
  std::vector<void*> outputs;
  for (const Tensor& t : y) outputs.push_back(t.raw());
  const int64_t operands = std::ssize(x) + std::ssize(y);
  profile_bytes(tree_sum_kernel, [&] { return operands * x[0].numel() * size_of(x[0].dtype()); });
  tree_sum_kernel(
      {x[0].dtype(), x[0].numel(), static_cast<int>(x.size()), terms, static_cast<int>(outputs.size()), outputs.data()},
      current_stream(y[0].device()));
}

}  // namespace

void tree_sum_into(std::span<const Tensor> y, std::span<const Tensor> x) {
  check_terms(x);
  check_outputs(y, x[0]);
  if (x[0].numel() == 0) return;
  const Device device = y[0].device();
  Tensors terms;
  for (const Tensor& t : x)
    terms.push_back(with_strides_of(share_memory(t.device(), device) ? t : to(t, device), y[0]));
  while (terms.size() > tree_sum_most) {
    Tensors sums;
    for (size_t k = 0; k < terms.size(); k += tree_sum_most) {
      const Tensor sum = empty_strided(y[0].shape(), y[0].strides(), y[0].dtype(), device);
      one_pass({&sum, 1}, std::span(terms).subspan(k, std::min<size_t>(tree_sum_most, terms.size() - k)));
      sums.push_back(sum);
    }
    terms = std::move(sums);
  }
  one_pass(y, terms);
}

Tensor tree_sum(std::span<const Tensor> x, Device device) {
  check_terms(x);
  const Tensor y = empty_strided(x[0].shape(), result_strides(x[0].shape(), {&x[0]}), x[0].dtype(), device);
  tree_sum_into({&y, 1}, x);
  return y;
}

}  // namespace ops
}  // namespace weft
