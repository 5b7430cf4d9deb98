// any: the number of elements that are not 0 is not 0;   all: the number of zeros is 0
#include "weft/autograd/ops/any_all.h"

#include "weft/autograd/reduced.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/reduce.h"

namespace weft {

namespace {

Tensor count(const char* operation, CompareOp what, const Tensor& x, const ReduceOptions& options) {
  autograd::reduced_count(operation, x.shape(), options.axes);  // names the operation in errors
  return ops::sum(ops::compare(what, x, 0), options);
}

}  // namespace

Tensor any(const Tensor& x, const ReduceOptions& options) {
  return ops::compare(CompareOp::not_equal, count("any", CompareOp::not_equal, x, options), 0);
}

Tensor all(const Tensor& x, const ReduceOptions& options) {
  return ops::compare(CompareOp::equal, count("all", CompareOp::equal, x, options), 0);
}

}  // namespace weft
