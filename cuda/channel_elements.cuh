// Elements of a dense tensor [rows, channels] in packs, with values that belong to their channels.
#pragma once

#include "weft/cuda/divide.cuh"
#include "weft/cuda/launch.cuh"
#include "weft/cuda/pack.cuh"

namespace weft::cuda {

/// The per-channel values of N neighbouring elements; in packs where no pack straddles rows.
template <int N, class C>
__device__ inline Pack<C, N> channel_values(const C* values, const int64_t (&channel)[N], bool wide) {
  if (wide) return load_as<Pack<C, N>>(values + channel[0]);
  Pack<C, N> pack;
#pragma unroll
  for (int j = 0; j < N; ++j) pack.v[j] = values[channel[j]];
  return pack;
}

/// Passed to kernels by value. `wide`: all dense operands hold packs; `even`: channels are a multiple of the pack and
/// the per-channel operands hold packs.
struct ChannelElements {
  int64_t numel, channels;
  Divider by_channels;
  bool wide, even;

  template <int N>
  __device__ void channels_of(int64_t i, int64_t (&channel)[N]) const {
    channel[0] = by_channels(i).rest;
#pragma unroll
    for (int j = 1; j < N; ++j) channel[j] = channel[j - 1] + 1 < channels ? channel[j - 1] + 1 : 0;
  }
};

/// values: the per-channel operands.
template <class T, class... Values>
ChannelElements elements_of(int64_t rows, int64_t channels, bool wide, const Values*... values) {
  constexpr int N = pack_size<T>;
  const int64_t numel = rows * channels;
  return {numel, channels, Divider(channels, numel + N), wide,
          channels % N == 0 && (holds_packs<Values, N>(values) && ...)};
}

}  // namespace weft::cuda
