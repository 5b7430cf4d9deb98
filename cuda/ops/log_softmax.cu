// log_softmax: the maximum, the sum and the result of a row.
#include "weft/tensor/ops/log_softmax.h"

#include "weft/cuda/softmax_rows.cuh"

namespace weft::cuda {
namespace {

template <class C>
struct LogSoftmax {
  C log_sum;
  __device__ explicit LogSoftmax(C sum) : log_sum(math::log(sum)) {}
  __device__ static C kept(C centred) { return centred; }
  __device__ C operator()(C centred) const { return centred - log_sum; }
};

template <class C>
struct LogSoftmaxGradient {
  __device__ static C term(C dy, C /*y*/) { return dy; }
  __device__ static C slope(C dy, C y, C sum) { return dy - math::exp(y) * sum; }
};

void log_softmax(const LogSoftmaxArgs& args, Stream stream) {
  launch_normalize_rows<LogSoftmax>("log_softmax", args, stream);
}

void log_softmax_backward(const LogSoftmaxBackwardArgs& args, Stream stream) {
  launch_gradient_rows<LogSoftmaxGradient>("log_softmax_backward", args, stream);
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(log_softmax_kernel, weft::cuda::log_softmax);
  WEFT_PLUG(log_softmax_backward_kernel, weft::cuda::log_softmax_backward);
}
