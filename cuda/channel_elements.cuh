// Elements of a dense tensor [rows, channels] in packs, with values that belong to their channels. A thread's packs lie
// whole numbers of rows apart: it stays with its channels and reads their values once.
#pragma once

#include <numeric>

#include "weft/cuda/ahead.cuh"
#include "weft/cuda/divide.cuh"

namespace weft::cuda {

/// Passed to kernels by value.
struct ChannelElements {
  Grid grid;
  int64_t numel, channels;
  int64_t step;         ///< from a thread's pack to its next; the threads whose first pack lies before it take part
  Divider by_channels;  ///< a thread's first element -> row, channel
  bool even;            ///< channels are a multiple of the pack, and the per-channel operands hold packs
};

/// A thread's packs of N elements, and the values of their channels.
template <int N>
class ChannelPacks {
 public:
  __device__ explicit ChannelPacks(const ChannelElements& elements)
      : elements_(elements), first_(thread_in_grid() * N), channel_(elements.by_channels(first_).rest) {}

  template <class C>
  __device__ Pack<C, N> values(const C* values) const {
    if (elements_.even) return load_as<Pack<C, N>>(values + channel_);
    Pack<C, N> pack;
    int64_t channel = channel_;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      pack.v[j] = values[channel];
      channel = channel + 1 < elements_.channels ? channel + 1 : 0;
    }
    return pack;
  }
  /// A pack of a dense operand. `whole` (std::bool_constant) is false for one that ends behind the last element.
  template <class Whole, class T>
  __device__ Pack<T, N> load(Whole whole, const T* x, int64_t i) const {
    if constexpr (whole) return load_as<Pack<T, N>>(x + i);
    return load4<T, N>(x, i, elements_.numel, false);
  }
  template <class Whole, class T>
  __device__ void store(Whole whole, T* y, int64_t i, const Pack<T, N>& pack) const {
    if constexpr (whole) return store_as(y + i, pack);
    store4(y, i, elements_.numel, false, pack);
  }
  /// Calls use(whole, i, load(whole, i)) for this thread's packs; as for_ahead.
  template <class Load, class Use>
  __device__ void for_each(const Load& load, const Use& use) const {
    if (first_ >= elements_.step) return;
    const int64_t next = for_ahead(
        first_, elements_.step, elements_.numel / N * N, [&](int64_t i) { return load(std::true_type{}, i); },
        [&](int64_t i, const auto& value) { use(std::true_type{}, i, value); });
    if (next < elements_.numel) use(std::false_type{}, next, load(std::false_type{}, next));
  }

 private:
  const ChannelElements& elements_;
  int64_t first_, channel_;
};

/// In packs of N. values: the per-channel operands.
template <int N, class... Values>
ChannelElements elements_of(int64_t rows, int64_t channels, Stream stream, const Values*... values) {
  const int64_t numel = rows * channels, packs = packs_of(numel, N);
  const int64_t period = channels / std::gcd(channels, int64_t{N});  // packs after which channels are the same again
  Grid grid = grid_for_packs(numel, N, stream);
  const int64_t least = packs_of(period < packs ? period : packs, grid.threads);
  if (grid.blocks < least) grid.blocks = least;
  const int64_t threads = grid.blocks * grid.threads, periods = threads < period ? 1 : threads / period;
  const bool even = channels % N == 0 && (holds_packs<Values, N>(values) && ...);
  return {grid, numel, channels, periods * period * N, Divider(channels, threads * N), even};
}

/// Calls f(std::integral_constant<int, N>) with the elements that move together: a pack of T if the dense operands hold
/// packs, else one.
template <class T, class F, class... Pointers>
void with_channel_packs(const F& f, const Pointers*... dense) {
  if (holds_packs<T>(dense...))
    f(std::integral_constant<int, pack_size<T>>{});
  else
    f(std::integral_constant<int, 1>{});
}

}  // namespace weft::cuda
