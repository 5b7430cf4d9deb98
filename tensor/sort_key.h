// Sort keys: elements of any dtype as unsigned integers in the same order, joined with their position so that no two
// are equal. Sorting such items in any way is a stable sort of the elements. The same on every device.
//
// Order of elements: -inf < … < -0 = +0 < … < +inf < NaN; all NaN are equal; false < true.
#pragma once

#include <type_traits>

#include "weft/tensor/dtype.h"

namespace weft {

/// The order of a number; `descending` turns it around.
WEFT_INLINE uint32_t sort_bits(float x) {
  if (x != x) return 0xffffffffu;
  const uint32_t bits = detail::float_bits(x == 0.0f ? 0.0f : x);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
WEFT_INLINE uint64_t sort_bits(double x) {
  if (x != x) return ~uint64_t{0};
  const uint64_t bits = __builtin_bit_cast(uint64_t, x == 0.0 ? 0.0 : x);
  return bits >> 63 ? ~bits : bits | uint64_t{1} << 63;
}
WEFT_INLINE uint32_t sort_bits(int32_t x) { return static_cast<uint32_t>(x) ^ 0x80000000u; }
WEFT_INLINE uint64_t sort_bits(int64_t x) {
  return static_cast<uint64_t>(x) ^ uint64_t { 1 } << 63;
}
WEFT_INLINE uint32_t sort_bits(uint8_t x) { return x; }
WEFT_INLINE uint32_t sort_bits(bool x) { return x ? 1 : 0; }
WEFT_INLINE uint32_t sort_bits(Half x) { return sort_bits(static_cast<float>(x)); }
WEFT_INLINE uint32_t sort_bits(BFloat16 x) { return sort_bits(static_cast<float>(x)); }

/// Of elements up to 4 bytes: key and position in one number.
struct NarrowSortItem {
  uint64_t bits;
  WEFT_INLINE static NarrowSortItem make(uint32_t key, int64_t position) {
    return {uint64_t{key} << 32 | static_cast<uint64_t>(position)};
  }
  WEFT_INLINE int64_t position() const { return static_cast<int64_t>(bits & 0xffffffffu); }
  WEFT_INLINE uint32_t key() const { return static_cast<uint32_t>(bits >> 32); }
  WEFT_INLINE bool operator<(const NarrowSortItem& other) const { return bits < other.bits; }
};
/// Of elements of 8 bytes.
struct WideSortItem {
  uint64_t bits, at;
  WEFT_INLINE static WideSortItem make(uint64_t key, int64_t position) {
    return {key, static_cast<uint64_t>(position)};
  }
  WEFT_INLINE int64_t position() const { return static_cast<int64_t>(at); }
  WEFT_INLINE uint64_t key() const { return bits; }
  WEFT_INLINE bool operator<(const WideSortItem& other) const {
    return bits < other.bits || (bits == other.bits && at < other.at);
  }
};
template <class T>
using SortItem = std::conditional_t<sizeof(T) == 8, WideSortItem, NarrowSortItem>;

template <class T>
WEFT_INLINE SortItem<T> sort_item(T x, int64_t position, bool descending) {
  const auto key = sort_bits(x);
  return SortItem<T>::make(descending ? static_cast<decltype(sort_bits(x))>(~key) : key, position);
}
/// After every other item.
template <class Item>
WEFT_INLINE Item last_sort_item() {
  return Item::make(static_cast<decltype(Item{}.key())>(~uint64_t{0}), -1);
}

}  // namespace weft
