// Every elementwise operation: a functor and a line in one of the lists below. The same source serves the CPU kernels
// (compiled per instruction set), the CUDA kernels, and the tape: a unary line makes weft::ops::name and weft::name
// exist, recorded, with first and second gradient.
//
// A unary functor gives f(x), df (its derivative) and d2f (the derivative of df), each from what the tape keeps: the
// input x (Needs::input), the output y = f(x) (Needs::output), or nothing where df is constant. df(s) and d2f(s) are
// functions of that one value s, so with Needs::output d2f is the derivative of df by y. p, q are the operation's
// parameters (slope, bounds, …), unused by most.
// T is Compute<element>: float, double, and for Domain::numbers also the integer types.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/math.h"
#include "weft/tensor/rounding.h"
#include "weft/tensor/slopes.h"
#include "weft/tensor/trigonometry.h"

namespace weft {

enum class Needs : uint8_t { nothing, input, output };
/// Which element types an operation takes: floating ones, or all but bool.
enum class Domain : uint8_t { floating, numbers };

/// X(Functor, name): unary operations weft::name(x) with no parameter.
#define WEFT_UNARY_OPS(X)      \
  X(Neg, neg)                  \
  X(Abs, abs)                  \
  X(Square, square)            \
  X(Reciprocal, reciprocal)    \
  X(Sqrt, sqrt)                \
  X(Rsqrt, rsqrt)              \
  X(Exp, exp)                  \
  X(Log, log)                  \
  X(Tanh, tanh)                \
  X(Sigmoid, sigmoid)          \
  X(Relu, relu)                \
  X(Silu, silu)                \
  X(Gelu, gelu)                \
  X(Softplus, softplus)        \
  X(Expm1, expm1)              \
  X(Log1p, log1p)              \
  X(Sin, sin)                  \
  X(Cos, cos)                  \
  X(Erf, erf)                  \
  X(HardSwish, hard_swish)     \
  X(HardSigmoid, hard_sigmoid) \
  X(Sign, sign)                \
  X(Floor, floor)              \
  X(Ceil, ceil)                \
  X(Round, round)

/// X(Functor, name): the same with parameters p, q; autograd/ops/unary.cpp wraps them by hand under names of their own.
#define WEFT_UNARY_PARAMETER_OPS(X) \
  X(Scale, scale)                   \
  X(Shift, shift)                   \
  X(SubtractFrom, subtract_from)    \
  X(DivideBy, divide_by)            \
  X(DivideInto, divide_into)        \
  X(PowScalar, pow_scalar)          \
  X(Clamp, clamp)                   \
  X(LeakyRelu, leaky_relu)          \
  X(Elu, elu)                       \
  X(Zero, zero)

/// X(Functor, name): same dtype in and out, after promotion and broadcasting.
#define WEFT_BINARY_OPS(X) \
  X(Add, add)              \
  X(Sub, sub)              \
  X(Mul, mul)              \
  X(Div, div)              \
  X(Maximum, maximum)      \
  X(Minimum, minimum)      \
  X(Pow, pow)              \
  X(Remainder, remainder)

/// The same with a parameter p; used inside weft.
#define WEFT_BINARY_PARAMETER_OPS(X) X(AddScaled, add_scaled)

/// X(Functor, name): bool out.
#define WEFT_COMPARE_OPS(X)      \
  X(Equal, equal)                \
  X(NotEqual, not_equal)         \
  X(Less, less)                  \
  X(LessEqual, less_equal)       \
  X(Greater, greater)            \
  X(GreaterEqual, greater_equal) \
  X(LogicalAnd, logical_and)     \
  X(LogicalOr, logical_or)       \
  X(LogicalXor, logical_xor)

/// X(Functor, name): bool out, of one operand; kernels run them as comparisons that ignore b.
#define WEFT_TEST_OPS(X) \
  X(IsNan, isnan)        \
  X(IsInf, isinf)        \
  X(IsFinite, isfinite)  \
  X(LogicalNot, logical_not)

/// The operations by number, as kernels receive them.
#define WEFT_NAME(Functor, name) name,
enum class UnaryOp : uint8_t { WEFT_UNARY_OPS(WEFT_NAME) WEFT_UNARY_PARAMETER_OPS(WEFT_NAME) };
enum class BinaryOp : uint8_t { WEFT_BINARY_OPS(WEFT_NAME) WEFT_BINARY_PARAMETER_OPS(WEFT_NAME) };
enum class CompareOp : uint8_t { WEFT_COMPARE_OPS(WEFT_NAME) WEFT_TEST_OPS(WEFT_NAME) };
#undef WEFT_NAME

// Kernels of one instruction set, of the device, of the simulator each get functors of their own: nothing is merged.
inline namespace WEFT_VARIANT {
namespace pointwise {

using namespace math;

/// A parameter in the type that is computed with; integers by way of i64, so that -3 is a u8 too: 253.
template <class T>
WEFT_INLINE T number(double p) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<int64_t>(p));
  else
    return static_cast<T>(p);
}

#define WEFT_UNARY(Name, keeps, takes, f_, df_, d2f_) \
  struct Name {                                       \
    static constexpr Needs needs = Needs::keeps;      \
    static constexpr Domain domain = Domain::takes;   \
    double p = 0, q = 0;                              \
    template <class T>                                \
    WEFT_INLINE T f(T x) const {                      \
      return (void)x, T(f_);                          \
    }                                                 \
    template <class T>                                \
    WEFT_INLINE T df(T s) const {                     \
      return (void)s, T(df_);                         \
    }                                                 \
    template <class T>                                \
    WEFT_INLINE T d2f(T s) const {                    \
      return (void)s, T(d2f_);                        \
    }                                                 \
  };

// clang-format off
//         name          keeps    takes     f                               df                      d2f
WEFT_UNARY(Neg,          nothing, numbers,  -x,                             -1,                     0)
WEFT_UNARY(Abs,          input,   numbers,  x < T(0) ? T(-x) : T(x + T(0)), sign(s),                0)
WEFT_UNARY(Square,       input,   numbers,  x * x,                          2 * s,                  2)
WEFT_UNARY(Reciprocal,   output,  floating, T(1) / x,                       -s * s,                 -2 * s)
WEFT_UNARY(Sqrt,         output,  floating, sqrt(x),                        T(0.5) / s,             T(-0.5) / (s * s))
WEFT_UNARY(Rsqrt,        output,  floating, T(1) / sqrt(x),                 T(-0.5) * s * s * s,    T(-1.5) * s * s)
WEFT_UNARY(Exp,          output,  floating, exp(x),                         s,                      1)
WEFT_UNARY(Log,          input,   floating, log(x),                         T(1) / s,               T(-1) / (s * s))
WEFT_UNARY(Tanh,         output,  floating, tanh(x),                        T(1) - s * s,           T(-2) * s)
WEFT_UNARY(Sigmoid,      output,  floating, sigmoid(x),                     s * (T(1) - s),         T(1) - T(2) * s)
WEFT_UNARY(Relu,         output,  numbers,  x > T(0) || x != x ? x : T(0),  s > T(0) ? 1 : 0,       0)
WEFT_UNARY(Silu,         input,   floating, x * sigmoid(x),                 silu_slope(s),          silu_curve(s))
WEFT_UNARY(Gelu,         input,   floating, x * normal_distribution(x),     gelu_slope(s),          gelu_curve(s))
WEFT_UNARY(Softplus,     input,   floating, softplus(x),                    sigmoid(s),             sigmoid(s) * sigmoid(-s))
WEFT_UNARY(Scale,        nothing, numbers,  x * number<T>(p),               T(p),                   0)
WEFT_UNARY(Shift,        nothing, numbers,  x + number<T>(p),               1,                      0)
WEFT_UNARY(SubtractFrom, nothing, numbers,  number<T>(p) - x,               -1,                     0)
WEFT_UNARY(DivideBy,     nothing, floating, x / T(p),                       T(1) / T(p),            0)
WEFT_UNARY(DivideInto,   input,   floating, T(p) / x,                       -T(p) / (s * s),        T(2 * p) / (s * s * s))
WEFT_UNARY(PowScalar,    input,   floating, pow(x, T(p)),                   power_slope(s, T(p)),   power_curve(s, T(p)))
WEFT_UNARY(Clamp,        input,   floating, clamp(x, T(p), T(q)),           within(s, T(p), T(q)),  0)
WEFT_UNARY(LeakyRelu,    input,   floating, x > T(0) ? x : T(p) * x,        s > T(0) ? T(1) : T(p), 0)
WEFT_UNARY(Elu,          input,   floating, elu(x, T(p)),                   elu_slope(s, T(p)),     elu_curve(s, T(p)))
WEFT_UNARY(Expm1,        output,  floating, expm1(x),                       s + T(1),               1)
WEFT_UNARY(Log1p,        input,   floating, log1p(x),                       T(1) / (T(1) + s),      log1p_curve(s))
WEFT_UNARY(Sin,          input,   floating, sin(x),                         cos(s),                 -sin(s))
WEFT_UNARY(Cos,          input,   floating, cos(x),                         -sin(s),                -cos(s))
WEFT_UNARY(Erf,          input,   floating, erf(x),                         erf_slope(s),           T(-2) * s * erf_slope(s))
WEFT_UNARY(HardSwish,    input,   floating, hard_swish(x),                  hard_swish_slope(s),    within(s, T(-3), T(3)) / T(3))
WEFT_UNARY(HardSigmoid,  input,   floating, hard_sigmoid(x),                hard_sigmoid_slope(s),  0)
WEFT_UNARY(Sign,         nothing, numbers,  sign(x),                        0,                      0)
WEFT_UNARY(Floor,        nothing, numbers,  floor(x),                       0,                      0)
WEFT_UNARY(Ceil,         nothing, numbers,  ceil(x),                        0,                      0)
WEFT_UNARY(Round,        nothing, numbers,  round_to_even(x),               0,                      0)
WEFT_UNARY(Zero,         nothing, numbers,  0,                              0,                      0)
// clang-format on
#undef WEFT_UNARY

// Binary functors: f(a, b); their gradients are written with other operations in autograd/ops/binary.cpp. T may be
// bool.
#define WEFT_BINARY(Name, f_)         \
  struct Name {                       \
    double p = 0;                     \
    template <class T>                \
    WEFT_INLINE T f(T a, T b) const { \
      return T(f_);                   \
    }                                 \
  };
WEFT_BINARY(Add, a + b)
WEFT_BINARY(Sub, a - b)
WEFT_BINARY(Mul, a* b)
WEFT_BINARY(Div, a / b)  // floating only: integers are divided in f32
WEFT_BINARY(Maximum, a != a || a > b ? a : b)
WEFT_BINARY(Minimum, a != a || a < b ? a : b)
WEFT_BINARY(Pow, pow(a, b))
WEFT_BINARY(Remainder, remainder(a, b))
WEFT_BINARY(AddScaled, a + number<T>(p) * b)
#undef WEFT_BINARY

#define WEFT_COMPARE(Name, f_)           \
  struct Name {                          \
    template <class T>                   \
    WEFT_INLINE bool f(T a, T b) const { \
      return (void)b, (f_);              \
    }                                    \
  };
WEFT_COMPARE(Equal, a == b)
WEFT_COMPARE(NotEqual, a != b)
WEFT_COMPARE(Less, a < b)
WEFT_COMPARE(LessEqual, a <= b)
WEFT_COMPARE(Greater, a > b)
WEFT_COMPARE(GreaterEqual, a >= b)
WEFT_COMPARE(LogicalAnd, a != T(0) && b != T(0))
WEFT_COMPARE(LogicalOr, a != T(0) || b != T(0))
WEFT_COMPARE(LogicalXor, (a != T(0)) != (b != T(0)))
WEFT_COMPARE(IsNan, a != a)
WEFT_COMPARE(IsInf, is_infinite(a))
WEFT_COMPARE(IsFinite, is_finite(a))
WEFT_COMPARE(LogicalNot, a == T(0))
#undef WEFT_COMPARE

// From an operation's number to its functor: body(functor) is called once.
#define WEFT_CASE(Functor, name) \
  case UnaryOp::name:            \
    body(Functor{p, q});         \
    return;
template <class Body>
inline void dispatch(UnaryOp op, double p, double q, const Body& body) {
  switch (op) { WEFT_UNARY_OPS(WEFT_CASE) WEFT_UNARY_PARAMETER_OPS(WEFT_CASE) }
}
#undef WEFT_CASE
#define WEFT_CASE(Functor, name) \
  case BinaryOp::name:           \
    body(Functor{p});            \
    return;
template <class Body>
inline void dispatch(BinaryOp op, double p, const Body& body) {
  switch (op) { WEFT_BINARY_OPS(WEFT_CASE) WEFT_BINARY_PARAMETER_OPS(WEFT_CASE) }
}
#undef WEFT_CASE
#define WEFT_CASE(Functor, name) \
  case CompareOp::name:          \
    body(Functor{});             \
    return;
template <class Body>
inline void dispatch(CompareOp op, const Body& body) {
  switch (op) { WEFT_COMPARE_OPS(WEFT_CASE) WEFT_TEST_OPS(WEFT_CASE) }
}
#undef WEFT_CASE

}  // namespace pointwise
}  // namespace WEFT_VARIANT
}  // namespace weft
