// Filling, arange, linspace.
#include "weft/tensor/ops/fill.h"

#include "weft/tensor/cpu/moves.h"

namespace weft {
namespace {

constexpr int64_t grain = 65536;

template <class T>
void fill_as(const FillArgs& args) {
  const T value = static_cast<T>(args.bits);
  T* const y = static_cast<T*>(args.y);
  if (!args.geometry) {
    parallel_for(args.numel, grain,
                 [=](int64_t begin, int64_t end) { move_run(&value, 0, y + begin, 1, end - begin); });
    return;
  }
  const Collapsed& geometry = *args.geometry;
  const int64_t stride = geometry.stride[0][geometry.rank - 1];
  parallel_for(args.numel, grain, [=, &geometry](int64_t begin, int64_t end) {
    for_rows<1>(geometry, begin, end,
                [=](const int64_t* offset, int64_t n) { move_run(&value, 0, y + offset[0], stride, n); });
  });
}

void fill(const FillArgs& args, Stream) {
  dispatch_size(args.element_size, [&](auto tag) { fill_as<typename decltype(tag)::type>(args); });
}

void count(const ArangeArgs& args, Stream) {
  dispatch_all(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* const y = static_cast<T*>(args.y);
    const double start = args.start, step = args.step;
    parallel_for(args.numel, grain, [=](int64_t begin, int64_t end) {
      if constexpr (std::is_integral_v<T>) {
        const int64_t first = static_cast<int64_t>(start), by = static_cast<int64_t>(step);
        for (int64_t i = begin; i < end; ++i) y[i] = static_cast<T>(first + i * by);
      } else {
        for (int64_t i = begin; i < end; ++i) y[i] = static_cast<T>(start + static_cast<double>(i) * step);
      }
    });
  });
}

void linspace(const LinspaceArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* const y = static_cast<T*>(args.y);
    const double start = args.start, stop = args.stop, step = args.step;
    const int64_t n = args.numel;
    parallel_for(n, grain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t left = n - 1 - i;
        const double value =
            i <= left ? start + static_cast<double>(i) * step : stop - static_cast<double>(left) * step;
        y[i] = static_cast<T>(static_cast<Compute<T>>(value));
      }
    });
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(weft::fill_kernel, weft::fill);
  WEFT_PLUG(weft::arange_kernel, weft::count);
  WEFT_PLUG(weft::linspace_kernel, weft::linspace);
}
