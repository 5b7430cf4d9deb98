// Lists: the tensors of a call, many in one launch. They travel in the kernel's parameters, as many as fit there, and
// are cut in chunks that are numbered through the list: a block takes a chunk, so that small tensors share the grid and
// all threads of a block work on one tensor.
#pragma once

#include "weft/cuda/ahead.cuh"

namespace weft::cuda {

/// A parameter of kernels, by WEFT_GRID_CONSTANT. Item: a plain struct with `numel` > 0.
template <class Item>
struct List {
  static constexpr size_t room = most_parameter_bytes - 256;  ///< the rest is for the other parameters
  static constexpr int most = static_cast<int>(room / (sizeof(Item) + sizeof(int32_t)));

  Item item[most];
  int32_t end[most];  ///< of the item's chunks
  int count;

  WEFT_HD int64_t chunks() const { return end[count - 1]; }

  /// A chunk's elements [begin, stop) of item k.
  struct Place {
    int k;
    int64_t begin, stop;
  };
  __device__ Place place(int64_t chunk, int64_t size) const {
    int low = 0, high = count - 1;  // the first item that ends after the chunk
    while (low < high) {
      const int middle = (low + high) / 2;
      if (chunk < end[middle])
        high = middle;
      else
        low = middle + 1;
    }
    const int64_t begin = (chunk - (low == 0 ? 0 : end[low - 1])) * size;
    return {low, begin, smaller(item[low].numel, begin + size)};
  }
};

/// Calls body(list) for every launch that the items of a call take, cut in chunks of `size` elements.
template <class Item, class Body>
void for_lists(int64_t count, const Item* items, int64_t size, const Body& body) {
  for (int64_t first = 0; first < count;) {
    List<Item> list{};
    int64_t end = 0;
    for (; first < count && list.count < list.most; ++first) {
      end += (items[first].numel + size - 1) / size;
      list.item[list.count] = items[first];
      list.end[list.count++] = static_cast<int32_t>(end);
    }
    body(list);
  }
}

inline constexpr int list_threads = 256;

/// A block for each chunk.
template <class Item>
Grid grid_for_list(const List<Item>& list, Stream stream) {
  return grid_for(list.chunks() * list_threads, stream, list_threads);
}

/// Calls use(n, i, load(n, i)) for the elements i … i + n of [begin, stop) that this thread takes: in packs, n =
/// std::integral_constant<int, pack>, if `wide`, and with n = 1 what is left; as for_ahead.
template <int pack, class Load, class Use>
__device__ inline void for_elements(int64_t begin, int64_t stop, bool wide, const Load& load, const Use& use) {
  const auto part = [&](auto n, int64_t first, int64_t end) {
    for_ahead(
        first + int64_t{threadIdx.x} * n, int64_t{list_threads} * n, end, [&](int64_t i) { return load(n, i); },
        [&](int64_t i, const auto& value) { use(n, i, value); });
  };
  const int64_t packed = wide ? begin + (stop - begin) / pack * pack : begin;
  part(std::integral_constant<int, pack>{}, begin, packed);
  part(std::integral_constant<int, 1>{}, packed, stop);
}

}  // namespace weft::cuda
