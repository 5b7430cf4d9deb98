// Pixels: a channels-last image [batch, h, w, channels] walked with a pack of channels per thread.
#pragma once

#include "weft/cuda/divide.cuh"
#include "weft/cuda/launch.cuh"
#include "weft/cuda/pack.cuh"
#include "weft/tensor/ops/pair.h"

namespace weft::cuda {

struct Pixels {
  int64_t numel;  ///< threads' worth: batch * h * w * packs of channels
  Pair size;
  int64_t channels;
  Divider by_packs, by_w, by_h;
  int pack;  ///< channels of a thread

  struct Place {
    int64_t image, h, w, channel;  // the first channel of the pack
  };
  __device__ Place place(int64_t i) const {
    const auto [pixel, pack_index] = by_packs(i);
    const auto [line, w] = by_w(pixel);
    const auto [image, h] = by_h(line);
    return {image, h, w, pack_index * pack};
  }
};

/// `pack` divides channels.
inline Pixels pixels_of(int64_t batch, Pair size, int64_t channels, int pack) {
  const int64_t packs = channels / pack, numel = batch * size.h * size.w * packs;
  return {numel, size, channels, Divider(packs, numel), Divider(size.w, numel), Divider(size.h, numel), pack};
}

/// The sums of a pack of channels, as elements of T.
template <int N, class T>
__device__ inline void store_sums(T* to, const Compute<T> (&sum)[N]) {
  Pack<T, N> pack;
#pragma unroll
  for (int j = 0; j < N; ++j) pack.v[j] = T(sum[j]);
  store_as(to, pack);
}

/// Launches kernel(N)(pixels of dx, h, w, dy, dx): a gradient that is gathered by the pixels of the operation's input.
template <class T, class Args, class Kernel>
void launch_gather(const char* name, const Args& args, Stream stream, const Kernel& kernel) {
  with_pack<T>(args.channels, holds_packs<T>(args.dy, args.dx), [&](auto n) {
    const Pixels in = pixels_of(args.batch, {args.h.in, args.w.in}, args.channels, n);
    launch(name, kernel(n), grid_for(in.numel, stream), stream, in, args.h, args.w, static_cast<const T*>(args.dy),
           static_cast<T*>(args.dx));
  });
}

}  // namespace weft::cuda
