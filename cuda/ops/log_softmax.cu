// log_softmax: the maximum, the sum and the result of a row.
#include "weft/tensor/ops/log_softmax.h"

#include "weft/cuda/rows.cuh"
#include "weft/tensor/math.h"

namespace weft::cuda {
namespace {

template <class T>
__global__ void log_softmax_kernel_of(Rows rows, const T* x, T* y) {
  using C = Compute<T>;
  const int lane = rows.lane();
  rows.for_each([&](int64_t, int64_t base, bool valid) {
    const int64_t n = valid ? rows.n : 0;
    C top = Largest<C>::none(), sum = 0;
    for (int64_t c = lane; c < n; c += rows.lanes) top = Largest<C>::merge(top, C(x[base + c * rows.inner]));
    top = reduce_lanes<Largest<C>>(top, rows.lanes);
    for (int64_t c = lane; c < n; c += rows.lanes) sum += math::exp(C(x[base + c * rows.inner]) - top);
    const C log_sum = math::log(reduce_lanes<Sum<C>>(sum, rows.lanes));
    for (int64_t c = lane; c < n; c += rows.lanes)
      y[base + c * rows.inner] = T(C(x[base + c * rows.inner]) - top - log_sum);
  });
}

template <class T>
__global__ void log_softmax_backward_kernel_of(Rows rows, const T* dy, const T* y, T* dx) {
  using C = Compute<T>;
  const int lane = rows.lane();
  rows.for_each([&](int64_t, int64_t base, bool valid) {
    const int64_t n = valid ? rows.n : 0;
    C sum = 0;
    for (int64_t c = lane; c < n; c += rows.lanes) sum += C(dy[base + c * rows.inner]);
    sum = reduce_lanes<Sum<C>>(sum, rows.lanes);
    for (int64_t c = lane; c < n; c += rows.lanes) {
      const int64_t i = base + c * rows.inner;
      dx[i] = T(C(dy[i]) - math::exp(C(y[i])) * sum);
    }
  });
}

void log_softmax(const LogSoftmaxArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Rows rows = rows_of(args.outer, args.n, args.inner);
    launch("log_softmax", log_softmax_kernel_of<T>, grid_for_rows(rows, stream), stream, rows,
           static_cast<const T*>(args.x), static_cast<T*>(args.y));
  });
}

void log_softmax_backward(const LogSoftmaxBackwardArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Rows rows = rows_of(args.outer, args.n, args.inner);
    launch("log_softmax_backward", log_softmax_backward_kernel_of<T>, grid_for_rows(rows, stream), stream, rows,
           static_cast<const T*>(args.dy), static_cast<const T*>(args.y), static_cast<T*>(args.dx));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(log_softmax_kernel, weft::cuda::log_softmax);
  WEFT_PLUG(log_softmax_backward_kernel, weft::cuda::log_softmax_backward);
}
