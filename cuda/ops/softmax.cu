// softmax: the maximum, the sum and the result of a row, its elements kept in registers where they are few.
#include "weft/tensor/ops/softmax.h"

#include "weft/cuda/rows.cuh"
#include "weft/tensor/math.h"

namespace weft::cuda {
namespace {

constexpr int held = 4;  // elements of a row that a thread keeps; lanes_for gives short rows no more than these

template <class T>
__global__ void softmax_kernel_of(Rows rows, const T* x, T* y) {
  using C = Compute<T>;
  const int lane = rows.lane();
  rows.for_each([&](int64_t, int64_t base, bool valid) {
    const int64_t n = valid ? rows.n : 0;
    C top = Largest<C>::none(), sum = 0;
    if (rows.n <= held * rows.lanes) {
      C value[held];
#pragma unroll
      for (int k = 0; k < held; ++k) {
        const int64_t c = lane + k * rows.lanes;
        value[k] = c < n ? C(x[base + c * rows.inner]) : Largest<C>::none();
        top = Largest<C>::merge(top, value[k]);
      }
      top = reduce_lanes<Largest<C>>(top, rows.lanes);
#pragma unroll
      for (int k = 0; k < held; ++k) {
        value[k] = lane + k * rows.lanes < n ? math::exp(value[k] - top) : C(0);
        sum += value[k];
      }
      const C scale = 1 / reduce_lanes<Sum<C>>(sum, rows.lanes);
#pragma unroll
      for (int k = 0; k < held; ++k) {
        const int64_t c = lane + k * rows.lanes;
        if (c < n) y[base + c * rows.inner] = T(value[k] * scale);
      }
    } else {
      for (int64_t c = lane; c < n; c += rows.lanes) top = Largest<C>::merge(top, C(x[base + c * rows.inner]));
      top = reduce_lanes<Largest<C>>(top, rows.lanes);
      for (int64_t c = lane; c < n; c += rows.lanes) sum += math::exp(C(x[base + c * rows.inner]) - top);
      const C scale = 1 / reduce_lanes<Sum<C>>(sum, rows.lanes);
      for (int64_t c = lane; c < n; c += rows.lanes)
        y[base + c * rows.inner] = T(math::exp(C(x[base + c * rows.inner]) - top) * scale);
    }
  });
}

template <class T>
__global__ void softmax_backward_kernel_of(Rows rows, const T* dy, const T* y, T* dx) {
  using C = Compute<T>;
  const int lane = rows.lane();
  rows.for_each([&](int64_t, int64_t base, bool valid) {
    const int64_t n = valid ? rows.n : 0;
    C sum = 0;
    for (int64_t c = lane; c < n; c += rows.lanes) sum += C(dy[base + c * rows.inner]) * C(y[base + c * rows.inner]);
    sum = reduce_lanes<Sum<C>>(sum, rows.lanes);
    for (int64_t c = lane; c < n; c += rows.lanes) {
      const int64_t i = base + c * rows.inner;
      dx[i] = T(C(y[i]) * (C(dy[i]) - sum));
    }
  });
}

void softmax(const SoftmaxArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Rows rows = rows_of(args.outer, args.n, args.inner);
    launch("softmax", softmax_kernel_of<T>, grid_for_rows(rows, stream), stream, rows, static_cast<const T*>(args.x),
           static_cast<T*>(args.y));
  });
}

void softmax_backward(const SoftmaxBackwardArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Rows rows = rows_of(args.outer, args.n, args.inner);
    launch("softmax_backward", softmax_backward_kernel_of<T>, grid_for_rows(rows, stream), stream, rows,
           static_cast<const T*>(args.dy), static_cast<const T*>(args.y), static_cast<T*>(args.dx));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(softmax_kernel, weft::cuda::softmax);
  WEFT_PLUG(softmax_backward_kernel, weft::cuda::softmax_backward);
}
