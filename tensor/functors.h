// The functors of tensor/pointwise.h, one per line of its lists, and the way to them from an operation's number.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/math.h"
#include "weft/tensor/pointwise.h"
#include "weft/tensor/rounding.h"
#include "weft/tensor/slopes.h"
#include "weft/tensor/trigonometry.h"

namespace weft {

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

#define WEFT_UNARY(Name, name, keeps, takes, f_, df_, d2f_) \
  struct Name {                                             \
    static constexpr Needs needs = Needs::keeps;            \
    static constexpr Domain domain = Domain::takes;         \
    double p = 0, q = 0;                                    \
    template <class T>                                      \
    WEFT_INLINE T f(T x) const {                            \
      return (void)x, T(f_);                                \
    }                                                       \
    template <class T>                                      \
    WEFT_INLINE T df(T s) const {                           \
      return (void)s, T(df_);                               \
    }                                                       \
    template <class T>                                      \
    WEFT_INLINE T d2f(T s) const {                          \
      return (void)s, T(d2f_);                              \
    }                                                       \
  };

WEFT_UNARY_OPS(WEFT_UNARY)
WEFT_UNARY_PARAMETER_OPS(WEFT_UNARY)
#undef WEFT_UNARY

#define WEFT_BINARY(Name, name, f_)   \
  struct Name {                       \
    double p = 0;                     \
    template <class T>                \
    WEFT_INLINE T f(T a, T b) const { \
      return T(f_);                   \
    }                                 \
  };
WEFT_BINARY_OPS(WEFT_BINARY)
WEFT_BINARY_PARAMETER_OPS(WEFT_BINARY)
#undef WEFT_BINARY

#define WEFT_COMPARE(Name, name, f_)     \
  struct Name {                          \
    template <class T>                   \
    WEFT_INLINE bool f(T a, T b) const { \
      return (void)b, (f_);              \
    }                                    \
  };
WEFT_COMPARE_OPS(WEFT_COMPARE)
WEFT_TEST_OPS(WEFT_COMPARE)
#undef WEFT_COMPARE

// From an operation's number to its functor: body(functor) is called once.
#define WEFT_CASE(Functor, name, ...) \
  case UnaryOp::name:                 \
    body(Functor{p, q});              \
    return;
template <class Body>
inline void dispatch(UnaryOp op, double p, double q, const Body& body) {
  switch (op) { WEFT_UNARY_OPS(WEFT_CASE) WEFT_UNARY_PARAMETER_OPS(WEFT_CASE) }
}
#undef WEFT_CASE
#define WEFT_CASE(Functor, name, ...) \
  case BinaryOp::name:                \
    body(Functor{p});                 \
    return;
template <class Body>
inline void dispatch(BinaryOp op, double p, const Body& body) {
  switch (op) { WEFT_BINARY_OPS(WEFT_CASE) WEFT_BINARY_PARAMETER_OPS(WEFT_CASE) }
}
#undef WEFT_CASE
#define WEFT_CASE(Functor, name, ...) \
  case CompareOp::name:               \
    body(Functor{});                  \
    return;
template <class Body>
inline void dispatch(CompareOp op, const Body& body) {
  switch (op) { WEFT_COMPARE_OPS(WEFT_CASE) WEFT_TEST_OPS(WEFT_CASE) }
}
#undef WEFT_CASE

}  // namespace pointwise
}  // namespace WEFT_VARIANT
}  // namespace weft
