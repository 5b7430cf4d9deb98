// Sums and means over any axes. (Maxima: reduce_max.cu.)
#include "weft/tensor/ops/reduce.h"

#include "weft/cuda/reduce_strided.cuh"

namespace weft::cuda {
namespace {

template <class C, class T>
struct SumOf : Sum<C> {
  __device__ static C take(const C& acc, T x, int64_t) { return acc + C(Compute<T>(x)); }
};

/// y[k] = sum / divisor, rounded once to T; integers have no divisor.
template <class T>
struct StoreSum {
  T* y;
  double divisor;
  template <class C>
  __device__ void operator()(int64_t k, const C& sum) const {
    if constexpr (std::is_integral_v<C>)
      y[k] = sum;
    else
      y[k] = T(Compute<T>(static_cast<double>(sum) / divisor));
  }
};

void sum(const SumArgs& args, Stream stream) {
  dispatch_all(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_floating_point_v<Compute<T>>) {
      const StoreSum<T> store{static_cast<T*>(args.y), args.divisor};
      launch_reduction<SumOf<Compute<T>, T>, Sum<double>, T>("sum", args.geometry, args.x, store, stream);
    } else {
      const StoreSum<int64_t> store{static_cast<int64_t*>(args.y), 1};
      launch_reduction<SumOf<int64_t, T>, Sum<int64_t>, T>("sum", args.geometry, args.x, store, stream);
    }
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(sum_kernel, weft::cuda::sum); }
