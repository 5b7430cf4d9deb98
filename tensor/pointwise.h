// Every elementwise operation: a line in one of the lists below, with its formulas. The same line serves the CPU
// kernels (compiled per instruction set), the CUDA kernels, and the tape: a unary line makes weft::ops::name and
// weft::name exist, recorded, with first and second gradient. tensor/functors.h makes functors of the lines; here are
// names and text alone, which cost a program that includes weft.h next to nothing.
#pragma once

#include <cstdint>

namespace weft {

/// What the tape keeps for the gradient of a unary operation: the input x, the output y = f(x), or nothing where the
/// derivative is constant.
enum class Needs : uint8_t { nothing, input, output };
/// Which element types an operation takes: floating ones, or all but bool.
enum class Domain : uint8_t { floating, numbers };

// X(Functor, name, keeps, takes, f, df, d2f): a unary operation is f(x), df (its derivative) and d2f (the derivative of
// df), these two from what the tape keeps: functions of that one value s, so where it keeps the output d2f is the
// derivative of df by y. p, q are the operation's parameters (slope, bounds, …). T is Compute<element>: float, double,
// and for Domain::numbers also the integer types. Functions in the formulas: tensor/math.h, rounding.h, slopes.h,
// trigonometry.h; commas stand only within parentheses.

// clang-format off
/// weft::name(x) with no parameter.
#define WEFT_UNARY_OPS(X)                                                                                                               \
  X(Neg,         neg,          nothing, numbers,  -x,                             -1,                    0)                             \
  X(Abs,         abs,          input,   numbers,  x < T(0) ? T(-x) : T(x + T(0)), sign(s),               0)                             \
  X(Square,      square,       input,   numbers,  x * x,                          2 * s,                 2)                             \
  X(Reciprocal,  reciprocal,   output,  floating, T(1) / x,                       -s * s,                -2 * s)                        \
  X(Sqrt,        sqrt,         output,  floating, sqrt(x),                        T(0.5) / s,            T(-0.5) / (s * s))             \
  X(Rsqrt,       rsqrt,        output,  floating, T(1) / sqrt(x),                 T(-0.5) * s * s * s,   T(-1.5) * s * s)               \
  X(Exp,         exp,          output,  floating, exp(x),                         s,                     1)                             \
  X(Log,         log,          input,   floating, log(x),                         T(1) / s,              T(-1) / (s * s))               \
  X(Tanh,        tanh,         output,  floating, tanh(x),                        T(1) - s * s,          T(-2) * s)                     \
  X(Sigmoid,     sigmoid,      output,  floating, sigmoid(x),                     s * (T(1) - s),        T(1) - T(2) * s)               \
  X(Relu,        relu,         output,  numbers,  x > T(0) || x != x ? x : T(0),  s > T(0) ? 1 : 0,      0)                             \
  X(Silu,        silu,         input,   floating, x * sigmoid(x),                 silu_slope(s),         silu_curve(s))                 \
  X(Gelu,        gelu,         input,   floating, x * normal_distribution(x),     gelu_slope(s),         gelu_curve(s))                 \
  X(Softplus,    softplus,     input,   floating, softplus(x),                    sigmoid(s),            sigmoid(s) * sigmoid(-s))      \
  X(Expm1,       expm1,        output,  floating, expm1(x),                       s + T(1),              1)                             \
  X(Log1p,       log1p,        input,   floating, log1p(x),                       T(1) / (T(1) + s),     log1p_curve(s))                \
  X(Sin,         sin,          input,   floating, sin(x),                         cos(s),                -sin(s))                       \
  X(Cos,         cos,          input,   floating, cos(x),                         -sin(s),               -cos(s))                       \
  X(Erf,         erf,          input,   floating, erf(x),                         erf_slope(s),          T(-2) * s * erf_slope(s))      \
  X(HardSwish,   hard_swish,   input,   floating, hard_swish(x),                  hard_swish_slope(s),   within(s, T(-3), T(3)) / T(3)) \
  X(HardSigmoid, hard_sigmoid, input,   floating, hard_sigmoid(x),                hard_sigmoid_slope(s), 0)                             \
  X(Sign,        sign,         nothing, numbers,  sign(x),                        0,                     0)                             \
  X(Floor,       floor,        nothing, numbers,  floor(x),                       0,                     0)                             \
  X(Ceil,        ceil,         nothing, numbers,  ceil(x),                        0,                     0)                             \
  X(Round,       round,        nothing, numbers,  round_to_even(x),               0,                     0)

/// The same with parameters p, q; autograd/ops/unary.cpp wraps them by hand under names of their own.
#define WEFT_UNARY_PARAMETER_OPS(X)                                                                                          \
  X(Scale,        scale,         nothing, numbers,  x * number<T>(p),        T(p),                   0)                      \
  X(Shift,        shift,         nothing, numbers,  x + number<T>(p),        1,                      0)                      \
  X(SubtractFrom, subtract_from, nothing, numbers,  number<T>(p) - x,        -1,                     0)                      \
  X(DivideBy,     divide_by,     nothing, floating, x / T(p),                T(1) / T(p),            0)                      \
  X(DivideInto,   divide_into,   input,   floating, T(p) / x,                -T(p) / (s * s),        T(2 * p) / (s * s * s)) \
  X(PowScalar,    pow_scalar,    input,   floating, pow(x, T(p)),            power_slope(s, T(p)),   power_curve(s, T(p)))   \
  X(Clamp,        clamp,         input,   floating, clamp(x, T(p), T(q)),    within(s, T(p), T(q)),  0)                      \
  X(LeakyRelu,    leaky_relu,    input,   floating, x > T(0) ? x : T(p) * x, s > T(0) ? T(1) : T(p), 0)                      \
  X(Elu,          elu,           input,   floating, elu(x, T(p)),            elu_slope(s, T(p)),     elu_curve(s, T(p)))     \
  X(Zero,         zero,          nothing, numbers,  0,                       0,                      0)

// X(Functor, name, f): f(a, b); T may be bool. Their gradients are written with other operations in
// autograd/ops/binary.cpp.

/// Same dtype in and out, after promotion and broadcasting. div is of floating types: integers are divided in f32.
#define WEFT_BINARY_OPS(X)                         \
  X(Add,       add,       a + b)                   \
  X(Sub,       sub,       a - b)                   \
  X(Mul,       mul,       a * b)                   \
  X(Div,       div,       a / b)                   \
  X(Maximum,   maximum,   a != a || a > b ? a : b) \
  X(Minimum,   minimum,   a != a || a < b ? a : b) \
  X(Pow,       pow,       pow(a, b))               \
  X(Remainder, remainder, remainder(a, b))

/// The same with a parameter p; used inside weft.
#define WEFT_BINARY_PARAMETER_OPS(X)             \
  X(AddScaled, add_scaled, a + number<T>(p) * b)

/// bool out.
#define WEFT_COMPARE_OPS(X)                                  \
  X(Equal,        equal,         a == b)                     \
  X(NotEqual,     not_equal,     a != b)                     \
  X(Less,         less,          a < b)                      \
  X(LessEqual,    less_equal,    a <= b)                     \
  X(Greater,      greater,       a > b)                      \
  X(GreaterEqual, greater_equal, a >= b)                     \
  X(LogicalAnd,   logical_and,   a != T(0) && b != T(0))     \
  X(LogicalOr,    logical_or,    a != T(0) || b != T(0))     \
  X(LogicalXor,   logical_xor,   (a != T(0)) != (b != T(0)))

/// bool out, of one operand; kernels run them as comparisons that ignore b.
#define WEFT_TEST_OPS(X)                     \
  X(IsNan,      isnan,       a != a)         \
  X(IsInf,      isinf,       is_infinite(a)) \
  X(IsFinite,   isfinite,    is_finite(a))   \
  X(LogicalNot, logical_not, a == T(0))
// clang-format on

/// The operations by number, as kernels receive them.
#define WEFT_NAME(Functor, name, ...) name,
enum class UnaryOp : uint8_t { WEFT_UNARY_OPS(WEFT_NAME) WEFT_UNARY_PARAMETER_OPS(WEFT_NAME) };
enum class BinaryOp : uint8_t { WEFT_BINARY_OPS(WEFT_NAME) WEFT_BINARY_PARAMETER_OPS(WEFT_NAME) };
enum class CompareOp : uint8_t { WEFT_COMPARE_OPS(WEFT_NAME) WEFT_TEST_OPS(WEFT_NAME) };
#undef WEFT_NAME

}  // namespace weft
