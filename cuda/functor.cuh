// From an operation's number to its functor, inside a kernel: body(functor) is called once.
#pragma once

#include "weft/cuda/platform.cuh"
#include "weft/tensor/functors.h"

namespace weft::cuda {

#define WEFT_CASE(Functor, name, ...) \
  case UnaryOp::name:                 \
    body(pointwise::Functor{p, q});   \
    return;
template <class Body>
__device__ inline void with_functor(UnaryOp op, double p, double q, const Body& body) {
  switch (op) { WEFT_UNARY_OPS(WEFT_CASE) WEFT_UNARY_PARAMETER_OPS(WEFT_CASE) }
}
#undef WEFT_CASE

#define WEFT_CASE(Functor, name, ...) \
  case BinaryOp::name:                \
    body(pointwise::Functor{p});      \
    return;
template <class Body>
__device__ inline void with_functor(BinaryOp op, double p, const Body& body) {
  switch (op) { WEFT_BINARY_OPS(WEFT_CASE) WEFT_BINARY_PARAMETER_OPS(WEFT_CASE) }
}
#undef WEFT_CASE

#define WEFT_CASE(Functor, name, ...) \
  case CompareOp::name:               \
    body(pointwise::Functor{});       \
    return;
template <class Body>
__device__ inline void with_functor(CompareOp op, double /*p*/, const Body& body) {
  switch (op) { WEFT_COMPARE_OPS(WEFT_CASE) WEFT_TEST_OPS(WEFT_CASE) }
}
#undef WEFT_CASE

}  // namespace weft::cuda
