// x_0, x_1, … = split(x);   dx = concat(dx_0, dx_1, …), zeros where no gradient arrived
#include "weft/autograd/ops/split.h"

#include <algorithm>

#include "weft/autograd/ops/concat.h"
#include "weft/autograd/ops/view.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/view.h"

namespace weft {

using namespace autograd;

namespace {

std::vector<int64_t> equal_sizes(int64_t extent, int64_t size) {
  std::vector<int64_t> sizes;
  for (int64_t start = 0; start < extent; start += size) sizes.push_back(std::min(size, extent - start));
  if (sizes.empty()) sizes.push_back(0);
  return sizes;
}

// `sizes` add up to the extent.
Tensors split_at_sizes(const char* name, const Tensor& x, const std::vector<int64_t>& sizes, int axis) {
  Tensors parts;
  std::vector<Shape> shapes;
  int64_t start = 0;
  for (const int64_t size : sizes) {
    parts.push_back(ops::slice(x, axis, start, start + size));
    shapes.push_back(parts.back().shape());
    start += size;
  }
  if (parts.empty() || !tracked(x)) return parts;
  record_joint(name, parts, {&x, 1},
               [shapes, axis, options = TensorOptions{.dtype = x.dtype(), .device = x.device()}](
                   std::span<const Tensor> dys, std::span<const bool>) {
                 Tensors whole;
                 for (size_t i = 0; i < shapes.size(); ++i)
                   whole.push_back(dys[i].defined() ? dys[i] : zeros(shapes[i], options));
                 return Tensors{concat(whole, axis)};
               });
  return parts;
}

}  // namespace

Tensors split(const Tensor& x, int64_t size, int64_t axis) {
  const int dim = normalize_axis("split", axis, x.rank());
  WEFT_CHECK(ShapeError, size > 0, "split: parts of ", size, " elements; a part has at least 1");
  return split_at_sizes("split", x, equal_sizes(x.shape()[dim], size), dim);
}

Tensors split_sizes(const Tensor& x, const std::vector<int64_t>& sizes, int64_t axis) {
  const int dim = normalize_axis("split_sizes", axis, x.rank());
  int64_t rest = x.shape()[dim];
  for (const int64_t size : sizes) {
    WEFT_CHECK(ShapeError, size >= 0 && size <= rest, "split_sizes: a part of ", size, " where ", rest,
               " elements are left along axis ", axis, " of shape ", x.shape(), "; sizes must add up to ",
               x.shape()[dim]);
    rest -= size;
  }
  WEFT_CHECK(ShapeError, rest == 0, "split_sizes: ", rest, " elements are left over along axis ", axis, " of shape ",
             x.shape(), "; sizes must add up to ", x.shape()[dim]);
  return split_at_sizes("split_sizes", x, sizes, dim);
}

Tensors chunk(const Tensor& x, int64_t count, int64_t axis) {
  const int dim = normalize_axis("chunk", axis, x.rank());
  WEFT_CHECK(ShapeError, count > 0, "chunk: ", count, " parts; there is at least 1");
  const int64_t extent = x.shape()[dim];
  return split_at_sizes("chunk", x, equal_sizes(extent, extent == 0 ? 1 : (extent - 1) / count + 1), dim);
}

Tensor narrow(const Tensor& x, int64_t axis, int64_t start, int64_t length) {
  const int dim = normalize_axis("narrow", axis, x.rank());
  const int64_t extent = x.shape()[dim], first = start < 0 ? start + extent : start;
  WEFT_CHECK(IndexError, first >= 0 && first <= extent && length >= 0 && length <= extent - first, "narrow: ", length,
             " elements from ", start, " are not all within axis ", axis, " of shape ", x.shape());
  return slice(x, dim, first, first + length);
}

}  // namespace weft
