// Sorting on the CPU, a row at a time: insertion into a short list where few elements are wanted, else a radix sort by
// bytes of the key.
#include "weft/tensor/ops/sort.h"

#include "weft/tensor/cpu/loops.h"
#include "weft/tensor/sort_key.h"

namespace weft {
namespace {

constexpr int64_t grain = 2048;  // elements worth a thread
constexpr int64_t few = 64;      // elements kept in order by insertion

// The first `count` <= few items of a row, in order.
template <class T, class Item>
void insert_all(const SortArgs& args, const T* x, Item* kept) {
  int64_t size = 0;
  for (int64_t i = 0; i < args.n; ++i) {
    const Item item = sort_item(x[i * args.inner], i, args.descending);
    if (size == args.count) {
      if (kept[size - 1] < item) continue;
      --size;
    }
    int64_t at = size++;
    for (; at > 0 && item < kept[at - 1]; --at) kept[at] = kept[at - 1];
    kept[at] = item;
  }
}

// From `items` to and fro between it and `other`, from the lowest byte of the key to the highest; a pass keeps the
// order of equal bytes, so that items begin and stay in order of position. Returns where the result lies.
template <class Item>
Item* radix_sort(Item* items, Item* other, int64_t n) {
  using Key = decltype(items->key());
  constexpr int bytes = sizeof(Key);
  int64_t counts[bytes][256] = {};
  for (int64_t i = 0; i < n; ++i)
    for (int b = 0; b < bytes; ++b) ++counts[b][items[i].key() >> (8 * b) & 255];
  for (int b = 0; b < bytes; ++b) {
    if (counts[b][items[0].key() >> (8 * b) & 255] == n) continue;  // all bytes are the same
    int64_t start = 0;
    for (int64_t& count : counts[b]) {
      const int64_t here = count;
      count = start;
      start += here;
    }
    for (int64_t i = 0; i < n; ++i) other[counts[b][items[i].key() >> (8 * b) & 255]++] = items[i];
    Item* const sorted = other;
    other = items;
    items = sorted;
  }
  return items;
}

template <class T, class Item>
WEFT_INLINE void store(const SortArgs& args, const T* x, const Item* items, T* values, int64_t* index) {
  for (int64_t j = 0; j < args.count; ++j) {
    const int64_t position = items[j].position();
    index[j * args.inner] = position;
    if (values) values[j * args.inner] = x[position * args.inner];
  }
}

template <class T>
void sort_rows(const SortArgs& args) {
  using Item = SortItem<T>;
  parallel_for(args.outer * args.inner, 1 + grain / args.n, [&args](int64_t begin, int64_t end) {
    Item space[2 * sort_short];
    for (int64_t row = begin; row < end; ++row) {
      const int64_t outer = row / args.inner, inner = row % args.inner;
      const T* const x = static_cast<const T*>(args.x) + outer * args.n * args.inner + inner;
      const int64_t first = outer * args.count * args.inner + inner;
      T* const values = args.values ? static_cast<T*>(args.values) + first : nullptr;
      int64_t* const index = args.index + first;
      Item* items = args.scratch ? static_cast<Item*>(args.scratch) + row * 2 * args.n : space;
      if (args.count <= few) {
        insert_all(args, x, items);
      } else {
        for (int64_t i = 0; i < args.n; ++i) items[i] = sort_item(x[i * args.inner], i, args.descending);
        items = radix_sort(items, items + args.n, args.n);
      }
      store(args, x, items, values, index);
    }
  });
}

void sort(const SortArgs& args, Stream) {
  dispatch_all(args.dtype, [&](auto tag) { sort_rows<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(weft::sort_kernel, weft::sort); }
