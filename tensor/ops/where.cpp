#include "weft/tensor/ops/where.h"

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/elementwise.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/work.h"

namespace weft {

WEFT_KERNEL(WhereArgs, where_kernel);

namespace ops {

namespace {

void check_condition(const Tensor& condition, const Tensor& x) {
  WEFT_CHECK(DtypeError, condition.dtype() == DType::boolean, "where: the condition is ", condition.dtype(),
             ", not bool; compare it with a number, as in not_equal(x, 0)");
  check_same_device("where", condition, x);
}

// One of a and b may be null: then its number stands in `number`.
Tensor run(const Tensor& condition, const Tensor* a, const Tensor* b, const Shape& shape, double number) {
  const Tensor& first = a ? *a : *b;
  Tensor out = empty_strided(shape, result_strides(shape, {&first, b ? b : a}), first.dtype(), first.device());
  if (out.numel() == 0) return out;
  const Strides none = Dims::filled(shape.rank(), 0);
  const Strides strides[] = {out.strides(), broadcast_strides(condition, shape),
                             a ? broadcast_strides(*a, shape) : none, b ? broadcast_strides(*b, shape) : none};
  const Geometry geometry(shape, strides);
  const uint64_t bits = element_bits(first.dtype(), number);
  const Tensor absent;
  profile_work(where_kernel, condition, a ? *a : absent, b ? *b : absent, out);
  where_kernel({size_of(first.dtype()), out.numel(), condition.raw(), a ? a->raw() : nullptr, b ? b->raw() : nullptr,
                bits, bits, out.raw(), geometry.pointer()},
               current_stream(out.device()));
  return out;
}

}  // namespace

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  check_condition(condition, a);
  check_same_device("where", a, b);
  const Shape shape = broadcast("where", broadcast("where", condition.shape(), a.shape()), b.shape());
  const DType dtype = promote(a.dtype(), b.dtype());
  const Tensor left = cast(a, dtype), right = cast(b, dtype);
  return run(condition, &left, &right, shape, 0);
}

Tensor where(const Tensor& condition, const Tensor& a, double b) {
  check_condition(condition, a);
  return run(condition, &a, nullptr, broadcast("where", condition.shape(), a.shape()), b);
}

Tensor where(const Tensor& condition, double a, const Tensor& b) {
  check_condition(condition, b);
  return run(condition, nullptr, &b, broadcast("where", condition.shape(), b.shape()), a);
}

}  // namespace ops
}  // namespace weft
