#include "weft/tensor/ops/group_norm.h"

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(GroupNormArgs, group_norm_kernel);
WEFT_KERNEL(GroupNormBackwardArgs, group_norm_backward_kernel);

namespace ops {
namespace {

GroupNormGeometry geometry_of(const Tensor& x, const GroupNormRows& r) {
  return {x.dtype(), r.rows, r.groups, r.channels, r.spatial};
}

// gamma or beta as a dense vector in the compute dtype; an undefined one is filled with `missing`.
Tensor affine(const char* what, const Tensor& v, const Tensor& x, const GroupNormRows& rows, double missing) {
  const DType dtype = compute_dtype(x.dtype());
  if (!v.defined()) return full({rows.channels}, missing, {.dtype = dtype, .device = x.device()});
  check_same_device(rows.name, x, v);
  WEFT_CHECK(ShapeError, v.numel() == rows.channels, rows.name, ": ", what, " has shape ", v.shape(), " for ",
             rows.channels, " values of input ", x.shape());
  WEFT_CHECK(DtypeError, v.dtype() == dtype || v.dtype() == x.dtype(), rows.name, ": ", what, " is ", v.dtype(),
             " for an input of ", x.dtype(), "; convert it with .to(", dtype, ")");
  return contiguous(cast(v, dtype));
}

Tensor empty_dense(const Tensor& x) { return empty(x.shape(), {.dtype = x.dtype(), .device = x.device()}); }

}  // namespace

GroupNormOutputs<Tensor> group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps,
                                    const GroupNormRows& rows) {
  check_floating(rows.name, x);
  WEFT_CHECK(Error, eps >= 0, rows.name, ": eps ", eps, " must not be negative");
  const Tensor g = affine("gamma", gamma, x, rows, 1), b = affine("beta", beta, x, rows, 0);
  const TensorOptions wide{.dtype = compute_dtype(x.dtype()), .device = x.device()};
  GroupNormOutputs<Tensor> out{empty_dense(x), zeros({rows.rows}, wide), zeros({rows.rows}, wide)};
  if (x.numel() == 0) return out;
  const Tensor dense = contiguous(x);
  profile_work(group_norm_kernel, dense, g, b, out.mean, out.inverse_std, out.y);
  group_norm_kernel(
      {geometry_of(x, rows), eps, dense.raw(), g.raw(), b.raw(), out.mean.raw(), out.inverse_std.raw(), out.y.raw()},
      current_stream(x.device()));
  return out;
}

Tensor group_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gamma, const Tensor& mean,
                           const Tensor& inverse_std, const GroupNormRows& rows) {
  check_same(rows.name, dy, x);
  const Tensor dx = empty_dense(x);
  if (x.numel() == 0) return dx;
  const Tensor dense_x = contiguous(x), dense_dy = contiguous(dy), g = affine("gamma", gamma, x, rows, 1);
  profile_work(group_norm_backward_kernel, dense_x, dense_dy, g, mean, inverse_std, dx);
  group_norm_backward_kernel(
      {geometry_of(x, rows), dense_x.raw(), dense_dy.raw(), g.raw(), mean.raw(), inverse_std.raw(), dx.raw()},
      current_stream(x.device()));
  return dx;
}

}  // namespace ops
}  // namespace weft
