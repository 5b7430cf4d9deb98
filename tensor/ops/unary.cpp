#include "weft/tensor/ops/unary.h"

#include "weft/tensor/functors.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(UnaryArgs, unary_kernel);

namespace ops {

namespace {

struct Traits {
  const char* name;
  const char* gradient;
  const char* second;
  Needs needs;
  Domain domain;
};
#define WEFT_TRAITS(Functor, name, ...) \
  {#name, #name "_backward", #name "_second", pointwise::Functor::needs, pointwise::Functor::domain},
constexpr Traits traits[] = {WEFT_UNARY_OPS(WEFT_TRAITS) WEFT_UNARY_PARAMETER_OPS(WEFT_TRAITS)};
#undef WEFT_TRAITS

const Traits& traits_of(UnaryOp op) { return traits[static_cast<size_t>(op)]; }

}  // namespace

const char* name_of(UnaryOp op) { return traits_of(op).name; }
Needs needs_of(UnaryOp op) { return traits_of(op).needs; }

double slope_of(UnaryOp op, double p, double q) {
  double slope = 0;
  pointwise::dispatch(op, p, q, [&](auto functor) { slope = functor.df(0.0); });
  return slope;
}

void check_domain(UnaryOp op, const Tensor& x) {
  if (traits_of(op).domain == Domain::floating) check_floating(name_of(op), x);
  WEFT_CHECK(DtypeError, x.dtype() != DType::boolean, name_of(op),
             ": bool is not a number here; convert with .to(dtype)");
}

Tensor unary(UnaryOp op, const Tensor& x, double p, double q) {
  check_domain(op, x);
  const Tensor dense = dense_like(x);
  Tensor y = empty_like(dense);
  if (y.numel() == 0) return y;
  profile_work_as(name_of(op), unary_kernel, dense, y);
  unary_kernel({op, 0, x.dtype(), p, q, y.numel(), dense.raw(), nullptr, nullptr, y.raw()}, current_stream(x.device()));
  return y;
}

void unary_(const char* name, UnaryOp op, const Tensor& x, double p, double q) {
  check_writable(name, x);
  check_domain(op, x);
  x.storage().bump_version(name);
  if (x.numel() == 0) return;
  if (is_permuted_dense(x.shape(), x.strides())) {
    profile_work_as(name_of(op), unary_kernel, x, x);
    unary_kernel({op, 0, x.dtype(), p, q, x.numel(), x.raw(), nullptr, nullptr, x.raw()}, current_stream(x.device()));
  } else {
    copy(x, unary(op, x, p, q));
  }
}

Tensor unary_gradient(UnaryOp op, const Tensor& dy, const Tensor& s, double p, double q) {
  check_same(name_of(op), dy, s);
  check_floating(name_of(op), s);
  const Tensor dense = dense_like(s);
  const Tensor dense_dy = with_strides_of(dy, dense);
  Tensor dx = empty_like(dense);
  if (dx.numel() == 0) return dx;
  profile_work_as(traits_of(op).gradient, unary_kernel, dense, dense_dy, dx);
  unary_kernel({op, 1, s.dtype(), p, q, dx.numel(), dense.raw(), dense_dy.raw(), nullptr, dx.raw()},
               current_stream(s.device()));
  return dx;
}

Tensor unary_curvature(UnaryOp op, const Tensor& g, const Tensor& dy, const Tensor& s, double p, double q) {
  check_same(name_of(op), g, s);
  check_same(name_of(op), dy, s);
  check_floating(name_of(op), s);
  const Tensor dense = dense_like(s);
  const Tensor dense_g = with_strides_of(g, dense), dense_dy = with_strides_of(dy, dense);
  Tensor ds = empty_like(dense);
  if (ds.numel() == 0) return ds;
  profile_work_as(traits_of(op).second, unary_kernel, dense, dense_dy, dense_g, ds);
  unary_kernel({op, 2, s.dtype(), p, q, ds.numel(), dense.raw(), dense_dy.raw(), dense_g.raw(), ds.raw()},
               current_stream(s.device()));
  return ds;
}

#define WEFT_DEFINE(Functor, name, ...) \
  Tensor name(const Tensor& x) { return unary(UnaryOp::name, x); }
WEFT_UNARY_OPS(WEFT_DEFINE)
#undef WEFT_DEFINE

}  // namespace ops
}  // namespace weft
