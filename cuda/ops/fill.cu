// Filling with one value, arange, linspace.
#include "weft/tensor/ops/fill.h"

#include "weft/cuda/walk.cuh"
#include "weft/cuda/word.h"
#include "weft/tensor/convert.h"
#include "weft/tensor/philox.h"

namespace weft::cuda {
namespace {

template <class U>
__global__ void fill_kernel_of(Walk<1> walk, U word, U* y) {
  for_walked<pack_size<U>>(
      walk, [&](auto n, const auto&) { return splat<U, n>(word); },
      [&](auto, const auto& offsets, const auto& pack) { store_as(y + offsets.at[0], pack); });
}

void fill(const FillArgs& args, Stream stream) {
  if (args.bits == 0 && !args.geometry) {
    const DeviceScope scope(stream.device.index);
    note_operation(stream.device.index, "fill");
    check(cudaMemsetAsync(args.y, 0, static_cast<size_t>(args.numel * args.element_size), native(stream)), "fill");
    return;
  }
  dispatch_word(args.element_size, [&](auto tag) {
    using U = typename decltype(tag)::type;
    constexpr int width = pack_size<U>;
    const Walk<1> walk = walk_of<1>(args.geometry, args.numel, {walked<U, width>(args.y)}, width);
    launch("fill", fill_kernel_of<U>, grid_for_walk(walk, width, stream), stream, walk, static_cast<U>(args.bits),
           static_cast<U*>(args.y));
  });
}

template <class T>
__global__ void arange_kernel_of(int64_t n, double start, double step, T* y) {
  for (int64_t i = thread_in_grid(); i < n; i += threads_in_grid()) {
    if constexpr (std::is_integral_v<T>)
      y[i] = convert<T>(static_cast<int64_t>(start) + i * static_cast<int64_t>(step));
    else
      y[i] = convert<T>(start +
                        philox::product(static_cast<double>(i), step));  // the same bits as without fused operations
  }
}

void arange(const ArangeArgs& args, Stream stream) {
  dispatch_all(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch("arange", arange_kernel_of<T>, grid_for(args.numel, stream), stream, args.numel, args.start, args.step,
           static_cast<T*>(args.y));
  });
}

template <class T>
__global__ void linspace_kernel_of(int64_t n, double start, double stop, double step, T* y) {
  for (int64_t i = thread_in_grid(); i < n; i += threads_in_grid()) {
    const int64_t left = n - 1 - i;
    const double value = i <= left ? start + philox::product(static_cast<double>(i), step)
                                   : stop - philox::product(static_cast<double>(left), step);
    y[i] = convert<T>(value);
  }
}

void linspace(const LinspaceArgs& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch("linspace", linspace_kernel_of<T>, grid_for(args.numel, stream), stream, args.numel, args.start, args.stop,
           args.step, static_cast<T*>(args.y));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(fill_kernel, weft::cuda::fill);
  WEFT_PLUG(arange_kernel, weft::cuda::arange);
  WEFT_PLUG(linspace_kernel, weft::cuda::linspace);
}
