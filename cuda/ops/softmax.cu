// softmax: the maximum, the sum and the result of a row.
#include "weft/tensor/ops/softmax.h"

#include "weft/cuda/softmax_rows.cuh"

namespace weft::cuda {
namespace {

template <class C>
struct Softmax {
  C scale;
  __device__ explicit Softmax(C sum) : scale(1 / sum) {}
  __device__ static C kept(C centred) { return math::exp(centred); }
  __device__ C operator()(C exponential) const { return exponential * scale; }
};

template <class C>
struct SoftmaxGradient {
  __device__ static C term(C dy, C y) { return dy * y; }
  __device__ static C slope(C dy, C y, C sum) { return y * (dy - sum); }
};

void softmax(const SoftmaxArgs& args, Stream stream) { launch_normalize_rows<Softmax>("softmax", args, stream); }

void softmax_backward(const SoftmaxBackwardArgs& args, Stream stream) {
  launch_gradient_rows<SoftmaxGradient>("softmax_backward", args, stream);
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(softmax_kernel, weft::cuda::softmax);
  WEFT_PLUG(softmax_backward_kernel, weft::cuda::softmax_backward);
}
