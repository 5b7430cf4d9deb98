#include "weft/tensor/ops/kth_largest.h"

#include "weft/tensor/cpu/loops.h"

namespace weft {
namespace {

// From the highest byte of the keys down: of the values that share the bytes found so far, how many have which next
// byte.
template <class T>
WEFT_INLINE T select_from(const T* x, int64_t n, int64_t k) {
  using C = Compute<T>;
  using Key = decltype(order_key(C()));
  constexpr int bits = 8 * static_cast<int>(sizeof(Key));
  Key found = 0;
  for (int shift = bits - 8; shift >= 0; shift -= 8) {
    int64_t count[256] = {};
    for (int64_t i = 0; i < n; ++i) {
      const Key key = order_key(static_cast<C>(x[i]));
      if (shift == bits - 8 || key >> (shift + 8) == found >> (shift + 8)) ++count[key >> shift & 255];
    }
    int digit = 255;
    for (; k > count[digit]; --digit) k -= count[digit];
    found |= static_cast<Key>(digit) << shift;
  }
  return static_cast<T>(value_of_key(found));
}

void kth_largest(const KthLargestArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    parallel_for(args.rows, 1 + 4096 / args.n, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        static_cast<T*>(args.y)[row] = select_from(static_cast<const T*>(args.x) + row * args.n, args.n, args.k);
    });
  });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(kth_largest_kernel, kth_largest); }
