// Every elementwise operation: a functor and a line in one of the lists below. The same source serves the CPU kernels
// (compiled per instruction set), the CUDA kernels, and the tape.
//
// A unary functor gives f(x), df (its derivative) and d2f (the derivative of df), each from what the tape keeps: the
// input x (Needs::input) or the output y = f(x) (Needs::output). df(s) and d2f(s) are functions of that one value, so with
// Needs::output d2f is the derivative of df by y. p, q are the operation's parameters (slope, bounds, …), unused by most.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/math.h"

namespace weft {

enum class Needs : uint8_t { input, output };

// Kernels of one instruction set, of the device, of the simulator each get functors of their own: nothing is merged.
inline namespace WEFT_ISA {
namespace pointwise {

using namespace math;

#define WEFT_UNARY(Name, needed, f_, df_, d2f_)                                   \
  struct Name {                                                                   \
    static constexpr Needs needs = Needs::needed;                                 \
    double p, q;                                                                  \
    template <class T> WEFT_INLINE T f(T x) const { return T(f_); }               \
    template <class T> WEFT_INLINE T df(T s) const { return (void)s, T(df_); }    \
    template <class T> WEFT_INLINE T d2f(T s) const { return (void)s, T(d2f_); }  \
  };


//         name         keeps   f                                df                           d2f
WEFT_UNARY(Neg,         input,  -x,                              -1,                          0)
WEFT_UNARY(Scale,       input,  x * T(p) + T(q),                 T(p),                        0)
WEFT_UNARY(Abs,         input,  x < T(0) ? -x : x + T(0),        sign(s),                     0)
WEFT_UNARY(Square,      input,  x * x,                           2 * s,                       2)
WEFT_UNARY(Reciprocal,  output, T(1) / x,                        -s * s,                      -2 * s)
WEFT_UNARY(Sqrt,        output, sqrt(x),                         T(0.5) / s,                  T(-0.5) / (s * s))
WEFT_UNARY(Rsqrt,       output, T(1) / sqrt(x),                  T(-0.5) * s * s * s,         T(-1.5) * s * s)
WEFT_UNARY(Exp,         output, exp(x),                          s,                           1)
WEFT_UNARY(Log,         input,  log(x),                          T(1) / s,                    T(-1) / (s * s))
WEFT_UNARY(Tanh,        output, tanh(x),                         1 - s * s,                   -2 * s)
WEFT_UNARY(Sigmoid,     output, sigmoid(x),                      s * (1 - s),                 1 - 2 * s)
WEFT_UNARY(Relu,        output, x > T(0) || x != x ? x : T(0),   s > T(0) ? T(1) : T(0),      0)
WEFT_UNARY(PowScalar,   input,  pow(x, T(p)),                    T(p) * pow(s, T(p - 1)),     T(p * (p - 1)) * pow(s, T(p - 2)))

#undef WEFT_UNARY

/// X(Functor, name): unary operations weft::name(x) with no parameter.
#define WEFT_UNARY_OPS(X) \
  X(Neg, neg)             \
  X(Abs, abs)             \
  X(Square, square)       \
  X(Reciprocal, reciprocal) \
  X(Sqrt, sqrt)           \
  X(Rsqrt, rsqrt)         \
  X(Exp, exp)             \
  X(Log, log)             \
  X(Tanh, tanh)           \
  X(Sigmoid, sigmoid)     \
  X(Relu, relu)

/// X(Functor, name): weft::ops::name(x, p, q), wrapped by hand where the parameters have names.
#define WEFT_UNARY_PARAMETER_OPS(X) \
  X(Scale, scale)                   \
  X(PowScalar, pow_scalar)

// Binary functors: f(a, b); their gradients are written with other operations in autograd/ops/binary.cpp.
#define WEFT_BINARY(Name, f_)                                            \
  struct Name {                                                          \
    template <class T> WEFT_INLINE T f(T a, T b) const { return T(f_); } \
  };
WEFT_BINARY(Add, a + b)
WEFT_BINARY(Sub, a - b)
WEFT_BINARY(Mul, a * b)
WEFT_BINARY(Div, a / b)
WEFT_BINARY(Maximum, a != a || a > b ? a : b)
WEFT_BINARY(Minimum, a != a || a < b ? a : b)
#undef WEFT_BINARY

/// X(Functor, name): same dtype in and out, after promotion and broadcasting.
#define WEFT_BINARY_OPS(X) \
  X(Add, add)              \
  X(Sub, sub)              \
  X(Mul, mul)              \
  X(Div, div)              \
  X(Maximum, maximum)      \
  X(Minimum, minimum)

#define WEFT_COMPARE(Name, f_)                                              \
  struct Name {                                                             \
    template <class T> WEFT_INLINE bool f(T a, T b) const { return (f_); }  \
  };
WEFT_COMPARE(Equal, a == b)
WEFT_COMPARE(NotEqual, a != b)
WEFT_COMPARE(Less, a < b)
WEFT_COMPARE(LessEqual, a <= b)
WEFT_COMPARE(Greater, a > b)
WEFT_COMPARE(GreaterEqual, a >= b)
#undef WEFT_COMPARE

/// X(Functor, name): bool out.
#define WEFT_COMPARE_OPS(X) \
  X(Equal, equal)           \
  X(NotEqual, not_equal)    \
  X(Less, less)             \
  X(LessEqual, less_equal)  \
  X(Greater, greater)       \
  X(GreaterEqual, greater_equal)

}  // namespace pointwise
}  // namespace WEFT_ISA

/// The operations by number, as kernels receive them.
enum class UnaryOp : uint8_t {
#define WEFT_NAME(Functor, name) name,
  WEFT_UNARY_OPS(WEFT_NAME) WEFT_UNARY_PARAMETER_OPS(WEFT_NAME)
};
enum class BinaryOp : uint8_t { WEFT_BINARY_OPS(WEFT_NAME) };
enum class CompareOp : uint8_t { WEFT_COMPARE_OPS(WEFT_NAME) };
#undef WEFT_NAME

}  // namespace weft
