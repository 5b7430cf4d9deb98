#include "weft/tensor/ops/binary.h"

#include <cmath>

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/elementwise.h"
#include "weft/tensor/ops/unary.h"
#include "weft/tensor/ops/work.h"

namespace weft {

WEFT_KERNEL(BinaryArgs, binary_kernel);
WEFT_KERNEL(CompareArgs, compare_kernel);

namespace ops {

namespace {

#define WEFT_NAME(Functor, name, ...) #name,
constexpr const char* binary_names[] = {WEFT_BINARY_OPS(WEFT_NAME) WEFT_BINARY_PARAMETER_OPS(WEFT_NAME)};
constexpr const char* compare_names[] = {WEFT_COMPARE_OPS(WEFT_NAME) WEFT_TEST_OPS(WEFT_NAME)};
#undef WEFT_NAME
#define WEFT_NAME(Functor, name, ...) #name "_",
constexpr const char* names_in_place[] = {WEFT_BINARY_OPS(WEFT_NAME) WEFT_BINARY_PARAMETER_OPS(WEFT_NAME)};
#undef WEFT_NAME

// Whether bool operands have a result: or, and, the larger, the smaller.
constexpr bool takes_bool(BinaryOp op) {
  return op != BinaryOp::sub && op != BinaryOp::pow && op != BinaryOp::remainder;
}

// The dtype in which two operands of `op` meet.
DType meeting_type(BinaryOp op, const Tensor& a, const Tensor& b) {
  const DType dtype = promote(a.dtype(), b.dtype());
  if (op == BinaryOp::div && !is_floating(dtype)) return DType::f32;
  WEFT_CHECK(DtypeError, dtype != DType::boolean || takes_bool(op), binary_names[static_cast<size_t>(op)],
             ": bool values are no numbers here; compare with not_equal, or convert with .to(dtype)");
  return dtype;
}

// The general case: operands of one dtype, broadcast, in any layout.
void run_binary(BinaryOp op, const Tensor& out, const Tensor& a, const Tensor& b, double p) {
  if (out.numel() == 0) return;
  const Shape& shape = out.shape();
  const Strides strides[] = {out.strides(), broadcast_strides(a, shape), broadcast_strides(b, shape)};
  const Geometry geometry(shape, strides);
  profile_work_as(name_of(op), binary_kernel, a, b, out);
  binary_kernel({op, out.dtype(), out.numel(), a.raw(), b.raw(), out.raw(), geometry.pointer(), p},
                current_stream(out.device()));
}

void run_in_place(BinaryOp op, const char* name, const Tensor& a, const Tensor& b, double p) {
  check_same_device(name, a, b);
  check_writable(name, a);
  WEFT_CHECK(ShapeError, broadcast(name, a.shape(), b.shape()) == a.shape(), name, ": shape ", b.shape(),
             " does not broadcast to ", a.shape());
  WEFT_CHECK(DtypeError, a.dtype() != DType::boolean, name, ": bool is not a number here; convert with .to(dtype)");
  WEFT_CHECK(DtypeError, is_floating(a.dtype()) || !is_floating(meeting_type(op, a, b)), name, ": ", b.dtype(),
             " with ", a.dtype(), " would lose its fraction; convert one with .to(dtype)");
  const Tensor other = apart_from(a, cast(b, a.dtype()));
  a.storage().bump_version(name);
  run_binary(op, a, a, other, p);
}

Tensor general_binary(BinaryOp op, const Tensor& a, const Tensor& b) {
  check_same_device(name_of(op), a, b);
  const Shape shape = broadcast(name_of(op), a.shape(), b.shape());
  const DType dtype = meeting_type(op, a, b);
  const Tensor left = cast(a, dtype), right = cast(b, dtype);
  Tensor out = empty_strided(shape, result_strides(shape, {&left, &right}), dtype, a.device());
  run_binary(op, out, left, right, 0);
  return out;
}

}  // namespace

bool holds(DType dtype, double value) {
  if (is_floating(dtype)) return true;
  if (value != std::trunc(value)) return false;
  switch (dtype) {
    case DType::u8:
      return value >= 0 && value <= 255;
    case DType::i32:
      return std::abs(value) <= 0x7fffffff;
    case DType::i64:
      return std::abs(value) <= 0x1p53;
    default:
      return value == 0 || value == 1;
  }
}

const char* name_of(BinaryOp op) { return binary_names[static_cast<size_t>(op)]; }
const char* name_in_place(BinaryOp op) { return names_in_place[static_cast<size_t>(op)]; }
const char* name_of(CompareOp op) { return compare_names[static_cast<size_t>(op)]; }

Tensor binary(BinaryOp op, const Tensor& a, const Tensor& b) {
  // Small tensors of one shape and dtype are the common case, and there every nanosecond counts.
  const DType dtype = a.dtype();
  if (dtype != b.dtype() || !is_floating(dtype) || a.device() != b.device() || !same_dense(a, b))
    return general_binary(op, a, b);
  Tensor out = empty_strided(a.shape(), a.strides(), dtype, a.device());
  if (out.numel() > 0) {
    profile_work_as(name_of(op), binary_kernel, a, b, out);
    binary_kernel({op, dtype, out.numel(), a.raw(), b.raw(), out.raw(), nullptr}, current_stream(a.device()));
  }
  return out;
}

Tensor compare(CompareOp op, const Tensor& a, const Tensor& b) {
  check_same_device(name_of(op), a, b);
  const Shape shape = broadcast(name_of(op), a.shape(), b.shape());
  const DType dtype = promote(a.dtype(), b.dtype());
  const Tensor left = cast(a, dtype), right = cast(b, dtype);
  Tensor out = empty_strided(shape, result_strides(shape, {&left, &right}), DType::boolean, a.device());
  if (out.numel() == 0) return out;
  const Strides strides[] = {out.strides(), broadcast_strides(left, shape), broadcast_strides(right, shape)};
  const Geometry geometry(shape, strides);
  profile_work_as(name_of(op), compare_kernel, left, right, out);
  compare_kernel({op, dtype, out.numel(), left.raw(), right.raw(), 0, out.raw(), geometry.pointer()},
                 current_stream(a.device()));
  return out;
}

Tensor compare(CompareOp op, const Tensor& a, double b) {
  // An integer tensor against 2.5 or 1e30 meets it in f64.
  const Tensor x = holds(a.dtype(), b) ? a : cast(a, DType::f64);
  Tensor out = empty_strided(x.shape(), result_strides(x.shape(), {&x}), DType::boolean, x.device());
  if (out.numel() == 0) return out;
  const Strides strides[] = {out.strides(), x.strides()};
  const Geometry geometry(x.shape(), strides);
  profile_work_as(name_of(op), compare_kernel, x, out);
  compare_kernel({op, x.dtype(), out.numel(), x.raw(), nullptr, b, out.raw(), geometry.pointer()},
                 current_stream(x.device()));
  return out;
}

Tensor test(CompareOp op, const Tensor& x) { return compare(op, x, 0); }

void binary_(BinaryOp op, const Tensor& a, const Tensor& b) { run_in_place(op, name_in_place(op), a, b, 0); }

void add_(const Tensor& a, const Tensor& b, double scale) {
  WEFT_CHECK(DtypeError, holds(a.dtype(), scale), "add_: scale ", scale, " does not fit ", a.dtype(),
             "; convert with .to(dtype)");
  run_in_place(scale == 1 ? BinaryOp::add : BinaryOp::add_scaled, "add_", a, b, scale);
}

void mul_(const Tensor& a, double factor) {
  check_writable("mul_", a);
  check_domain(UnaryOp::scale, a);
  WEFT_CHECK(DtypeError, holds(a.dtype(), factor), "mul_: factor ", factor, " does not fit ", a.dtype(),
             "; convert with .to(dtype)");
  a.storage().bump_version("mul_");
  if (a.numel() == 0) return;
  if (is_permuted_dense(a.shape(), a.strides())) {
    profile_work_as("scale", unary_kernel, a, a);
    unary_kernel({UnaryOp::scale, 0, a.dtype(), factor, 0, a.numel(), a.raw(), nullptr, nullptr, a.raw()},
                 current_stream(a.device()));
  } else {
    run_binary(BinaryOp::mul, a, a, full(Shape{}, factor, {.dtype = a.dtype(), .device = a.device()}), 0);
  }
}

#define WEFT_DEFINE(Functor, name, ...) \
  Tensor name(const Tensor& a, const Tensor& b) { return binary(BinaryOp::name, a, b); }
WEFT_BINARY_OPS(WEFT_DEFINE)
#undef WEFT_DEFINE
#define WEFT_DEFINE(Functor, name, ...) \
  Tensor name(const Tensor& a, const Tensor& b) { return compare(CompareOp::name, a, b); }
WEFT_COMPARE_OPS(WEFT_DEFINE)
#undef WEFT_DEFINE
#define WEFT_DEFINE(Functor, name, ...) \
  Tensor name(const Tensor& x) { return test(CompareOp::name, x); }
WEFT_TEST_OPS(WEFT_DEFINE)
#undef WEFT_DEFINE

}  // namespace ops
}  // namespace weft
